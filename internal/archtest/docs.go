package archtest

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// CheckDocs reports what the package of these files exports without a comment
// on it: the package itself, names, and methods, those of interfaces with more
// than one included. A constant or variable may share the comment of its group.
// importPath is the package's; files are parsed with their comments, and none is
// a test.
func CheckDocs(importPath string, files []*ast.File) (violations []string) {
	missing := func(name, comment string) {
		if ast.IsExported(name[strings.LastIndexByte(name, '.')+1:]) && comment == "" {
			violations = append(violations, fmt.Sprintf("%s: %s has no comment", importPath, name))
		}
	}
	commented := false
	for _, file := range files {
		commented = commented || file.Doc.Text() != ""
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if owner, ok := owner(decl); ok {
					missing(owner+decl.Name.Name, decl.Doc.Text())
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					checkSpec(decl, spec, missing)
				}
			}
		}
	}
	if !commented {
		violations = append(violations, importPath+": the package has no comment")
	}
	slices.Sort(violations)
	return violations
}

// owner returns what stands before the name of a function: nothing, or the type
// of its receiver and a dot. ok is false if that type is not exported.
func owner(f *ast.FuncDecl) (prefix string, ok bool) {
	if f.Recv == nil {
		return "", true
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + ".", x.IsExported()
		default:
			return "", false
		}
	}
}

func checkSpec(decl *ast.GenDecl, spec ast.Spec, missing func(name, comment string)) {
	group := decl.Doc.Text()
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			missing(name.Name, group+spec.Doc.Text()+spec.Comment.Text())
		}
	case *ast.TypeSpec:
		missing(spec.Name.Name, group+spec.Doc.Text())
		methods, ok := spec.Type.(*ast.InterfaceType)
		if !ok || !spec.Name.IsExported() || methods.Methods.NumFields() == 1 {
			return
		}
		for _, m := range methods.Methods.List {
			for _, name := range m.Names {
				missing(spec.Name.Name+"."+name.Name, m.Doc.Text()+m.Comment.Text())
			}
		}
	}
}
