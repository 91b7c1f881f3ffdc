package archtest

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEveryExportedNameHasAComment(t *testing.T) {
	watchSources(t)
	list := goCommand(t, "list", "-json=Dir,ImportPath,Name,GoFiles", "./...")
	checked := 0
	for dec := json.NewDecoder(strings.NewReader(string(list))); ; {
		var p struct {
			Dir, ImportPath, Name string
			GoFiles               []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Name == "main" || strings.Contains(p.ImportPath+"/", "/internal/") || len(p.GoFiles) == 0 {
			continue
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			files = append(files, parse(t, filepath.Join(p.Dir, name), nil))
		}
		report(t, CheckDocs(p.ImportPath, files))
		checked++
	}
	if checked < 15 {
		t.Errorf("checked %d packages: some are not listed", checked)
	}
}

func parse(t *testing.T, name string, source any) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestMissingCommentsAreFound(t *testing.T) {
	const source = `package p
func F() {}
func f() {}
// G does.
func G() {}
type T[A any] struct{ X int }
func (t *T[A]) M() {}
func (t T[A]) m() {}
type u int
func (u) M() {}
type (
	// V is.
	V int
	W int
)
const C = 1
const (
	D = 1 // one
	// E is two.
	E = 2
	H, i = 3, 4
)
// Of all.
var (
	J = 1
	K = 2
)
// L lists.
type L interface {
	A()
	// B does.
	B()
	error
}
// N has one method.
type N interface{ Only() }
`
	want := []string{"C", "F", "H", "L.A", "T", "T.M", "W"}
	for i, name := range want {
		want[i] = "x/p: " + name + " has no comment"
	}
	want = append(want, "x/p: the package has no comment")
	if got := CheckDocs("x/p", []*ast.File{parse(t, "p.go", source)}); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := CheckDocs("x/p", []*ast.File{parse(t, "doc.go", "// Package p is.\npackage p\n"), parse(t, "p.go", "package p\n")}); got != nil {
		t.Errorf("a package with one comment: got %q", got)
	}
}
