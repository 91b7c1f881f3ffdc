package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLayers(t *testing.T) {
	report(t, CheckLayers(load(t), Layers()))
}

func TestDependencies(t *testing.T) {
	report(t, CheckDependencies(load(t), Dependencies()))
}

func TestRequirements(t *testing.T) {
	report(t, CheckRequirements(directRequirements(t), Dependencies()))
}

func TestNoTestLibraryIsLinked(t *testing.T) {
	g := load(t)
	for _, target := range []string{"testing", "github.com/alicebob/miniredis/v2", "go.uber.org/goleak"} {
		report(t, CheckReach(g, target))
	}
}

func TestEveryRuleGivesItsReason(t *testing.T) {
	for _, layer := range Layers() {
		if layer.Why == "" {
			t.Errorf("layer %q: no reason", layer.Folder)
		}
		for _, folder := range layer.MayImport {
			if found, ok := layerOf(Layers(), folder); !ok || found.Folder != folder {
				t.Errorf("layer %q may import %q, which is no layer", layer.Folder, folder)
			}
		}
	}
	for _, dep := range Dependencies() {
		if dep.Why == "" {
			t.Errorf("dependency %s: no reason", dep.Module)
		}
	}
}

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// load returns the import graph of the module and all it imports.
func load(t *testing.T) Graph {
	t.Helper()
	watchSources(t)
	out := goCommand(t, "list", "-deps", "-json=ImportPath,Standard,Module,Imports", "./...")
	g := make(Graph)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Standard   bool
			Module     *struct{ Path string }
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkg := Package{ImportPath: p.ImportPath, Standard: p.Standard, Imports: p.Imports}
		if p.Module != nil {
			pkg.Module = p.Module.Path
		}
		g[p.ImportPath] = pkg
	}
	if dirs := g.own(); !slices.Contains(dirs, "cache") || !slices.Contains(dirs, "keys") {
		t.Fatalf("the graph lacks the module's packages: got %v", dirs)
	}
	return g
}

// directRequirements returns what go.mod requires and does not mark as
// indirect.
func directRequirements(t *testing.T) (direct []string) {
	t.Helper()
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(goCommand(t, "mod", "edit", "-json"), &mod); err != nil {
		t.Fatal(err)
	}
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	return direct
}

// watchSources looks at every source file, so that go test does not answer from
// its cache after one of them changed: it cannot see what the go command reads.
func watchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".go") || d.Name() == "go.mod") {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// root returns the module's root.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goCommand runs the go command at the module's root.
func goCommand(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root(t)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}
