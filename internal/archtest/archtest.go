// Package archtest checks the architecture of the module: which package may
// import which, what the module may depend on, that nothing links test
// libraries into a program, and that what it exports has comments. The rules of
// imports, each with its reason, are in rules.go; the tests run them over the
// module's import graph, and its source.
//
// It is for this module's tests only.
package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the module whose packages the rules are about.
const Module = "github.com/larder-go/larder"

// Package is one package of the import graph.
type Package struct {
	ImportPath string
	Standard   bool     // of the Go distribution
	Module     string   // the path of its module; empty in the Go distribution
	Imports    []string // by its files that are not tests
}

// Graph is an import graph by import path.
type Graph map[string]Package

// folder returns where in the module path lies: "" for its root, "cache",
// "internal/archtest"; ok is false outside the module.
func folder(path string) (dir string, ok bool) {
	if path == Module {
		return "", true
	}
	return strings.CutPrefix(path, Module+"/")
}

// isTestSupport reports whether the package in dir exists for tests: its name
// ends in test, as httptest's does.
func isTestSupport(dir string) bool { return strings.HasSuffix(dir, "test") }

// own returns the module's packages, sorted, by folder.
func (g Graph) own() []string {
	var dirs []string
	for path := range g {
		if dir, ok := folder(path); ok {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

func (g Graph) at(dir string) Package {
	if dir == "" {
		return g[Module]
	}
	return g[Module+"/"+dir]
}

// CheckLayers reports the imports within the module that layers do not allow.
func CheckLayers(g Graph, layers []Layer) (violations []string) {
	for _, dir := range g.own() {
		from, ok := layerOf(layers, dir)
		if !ok {
			violations = append(violations, fmt.Sprintf("%q has no layer: give it one in rules.go", dir))
			continue
		}
		for _, path := range g.at(dir).Imports {
			imported, ok := folder(path)
			if !ok {
				continue
			}
			to, ok := layerOf(layers, imported)
			switch {
			case isTestSupport(imported) && !isTestSupport(dir):
				violations = append(violations, fmt.Sprintf("%q imports %q, which is for tests", dir, imported))
			case ok && to.Folder != from.Folder && !slices.Contains(from.MayImport, to.Folder):
				violations = append(violations, fmt.Sprintf("%q imports %q: %s", dir, imported, from.Why))
			}
		}
	}
	return violations
}

// layerOf returns the layer with the longest folder that dir lies in.
func layerOf(layers []Layer, dir string) (best Layer, ok bool) {
	for _, layer := range layers {
		inside := dir == layer.Folder || layer.Folder != "" && strings.HasPrefix(dir, layer.Folder+"/")
		if inside && (!ok || len(layer.Folder) > len(best.Folder)) {
			best, ok = layer, true
		}
	}
	return best, ok
}

// CheckDependencies reports imports of other modules that deps do not allow to
// the package that has them.
func CheckDependencies(g Graph, deps []Dependency) (violations []string) {
	for _, dir := range g.own() {
		for _, path := range g.at(dir).Imports {
			imported, known := g[path]
			if _, within := folder(path); within || known && imported.Standard {
				continue
			}
			dep, ok := dependencyOf(deps, imported.Module)
			switch {
			case !ok:
				violations = append(violations, fmt.Sprintf("%q imports %s, which is no dependency of this module", dir, path))
			case !isTestSupport(dir) && !slices.Contains(dep.Users, dir):
				violations = append(violations, fmt.Sprintf("%q imports %s: %s", dir, path, dep.Why))
			}
		}
	}
	return violations
}

// CheckRequirements reports the modules that go.mod requires directly although
// deps do not have them.
func CheckRequirements(direct []string, deps []Dependency) (violations []string) {
	for _, module := range direct {
		if _, ok := dependencyOf(deps, module); !ok {
			violations = append(violations, fmt.Sprintf("go.mod requires %s: move what needs it to a nested module, or give the reason in rules.go", module))
		}
	}
	return violations
}

func dependencyOf(deps []Dependency, module string) (Dependency, bool) {
	i := slices.IndexFunc(deps, func(d Dependency) bool { return d.Module == module })
	if i < 0 {
		return Dependency{}, false
	}
	return deps[i], true
}

// CheckReach reports the packages that link the package target into a program,
// with one way of imports that leads there. Test support may.
func CheckReach(g Graph, target string) (violations []string) {
	for _, dir := range g.own() {
		if isTestSupport(dir) {
			continue
		}
		if way := g.way(g.at(dir).ImportPath, target); way != nil {
			violations = append(violations, fmt.Sprintf("%q links %s: %s", dir, target, strings.Join(way, " > ")))
		}
	}
	return violations
}

// way returns the shortest way of imports between two packages, nil if there is
// none.
func (g Graph) way(from, to string) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		if queue[0] == to {
			var way []string
			for at := to; at != ""; at = cameFrom[at] {
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		for _, path := range g[queue[0]].Imports {
			if _, seen := cameFrom[path]; !seen {
				cameFrom[path] = queue[0]
				queue = append(queue, path)
			}
		}
	}
	return nil
}
