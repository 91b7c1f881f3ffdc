package archtest

import (
	"strings"
	"testing"
)

const (
	redisModule   = "github.com/redis/go-redis/v9"
	msgpackModule = "github.com/vmihailenco/msgpack/v5"
)

// clean is a small graph that breaks no rule.
func clean() Graph {
	g := Graph{
		"context":     {ImportPath: "context", Standard: true},
		"testing":     {ImportPath: "testing", Standard: true},
		redisModule:   {ImportPath: redisModule, Module: redisModule, Imports: []string{"context"}},
		msgpackModule: {ImportPath: msgpackModule, Module: msgpackModule, Imports: []string{"context"}},
		"example.com/other": {ImportPath: "example.com/other", Module: "example.com/other",
			Imports: []string{"context"}},
	}
	for dir, imports := range map[string]string{
		"":                    "cache memory distributed patterns context " + redisModule,
		"internal/flight":     "context",
		"internal/redistest":  "testing " + redisModule,
		"keys":                "context",
		"cache":               "keys internal/flight context " + msgpackModule,
		"cache/cachetest":     "cache testing",
		"cache/inspect":       "cache",
		"memory":              "cache",
		"distributed":         "cache distributed/internal/transport " + redisModule,
		"region":              "cache",
		"distributed/near":    "cache memory distributed region",
		"patterns":            "cache region keys",
		"patterns/session":    "patterns cache",
		"distributed/dotnet":  "distributed",
		"internal/archtest":   "context",
		"internal/structural": "internal/flight",

		"distributed/internal/transport": "cache internal/flight " + redisModule,
	} {
		g.add(dir, imports)
	}
	return g
}

// add makes the package in dir import what imports names: folders of the
// module, or import paths.
func (g Graph) add(dir, imports string) {
	p := g.at(dir)
	p.Module = Module
	p.ImportPath = strings.TrimSuffix(Module+"/"+dir, "/")
	for _, path := range strings.Fields(imports) {
		if _, known := g[path]; !known && !strings.HasPrefix(path, "github.com/") {
			path = Module + "/" + path
		}
		p.Imports = append(p.Imports[:len(p.Imports):len(p.Imports)], path)
	}
	g[p.ImportPath] = p
}

func checkAll(g Graph) (violations []string) {
	violations = append(violations, CheckLayers(g, Layers())...)
	violations = append(violations, CheckDependencies(g, Dependencies())...)
	return append(violations, CheckReach(g, "testing")...)
}

func TestACleanGraphPasses(t *testing.T) {
	report(t, checkAll(clean()))
}

// Each planted fault must be found by its rule, and nothing else may be
// reported.
func TestPlantedFaultsAreFound(t *testing.T) {
	for _, tc := range []struct {
		name, dir, imports, want string
	}{
		{"internal is a leaf", "internal/flight", "keys", `"internal/flight" imports "keys"`},
		{"internal knows no contract", "internal/flight", "cache", `"internal/flight" imports "cache"`},
		{"keys is a leaf", "keys", "internal/flight", `"keys" imports "internal/flight"`},
		{"keys knows no contract", "keys", "cache", `"keys" imports "cache"`},
		{"the contract knows no memory backend", "cache", "memory", `"cache" imports "memory"`},
		{"the contract knows no Redis backend", "cache", "distributed", `"cache" imports "distributed"`},
		{"what lies below the contract neither", "cache/inspect", "memory", `"cache/inspect" imports "memory"`},
		{"the contract knows no regions", "cache", "region", `"cache" imports "region"`},
		{"memory knows no distributed", "memory", "distributed", `"memory" imports "distributed"`},
		{"distributed knows no memory", "distributed", "memory", `"distributed" imports "memory"`},
		{"nor does what lies below it", "distributed/internal/transport", "memory", `imports "memory"`},
		{"a backend knows no near cache", "distributed", "distributed/near", `"distributed" imports "distributed/near"`},
		{"regions know no backend", "region", "memory", `"region" imports "memory"`},
		{"the near cache knows no patterns", "distributed/near", "patterns", `"distributed/near" imports "patterns"`},
		{"patterns know no memory backend", "patterns", "memory", `"patterns" imports "memory"`},
		{"patterns know no Redis backend", "patterns", "distributed", `"patterns" imports "distributed"`},
		{"patterns know no near cache", "patterns/session", "distributed/near", `"patterns/session" imports "distributed/near"`},
		{"nobody knows the root package", "patterns", Module, `"patterns" imports ""`},
		{"a new folder needs a layer", "utilities", "context", `"utilities" has no layer`},
		{"test support stays in tests", "memory", "cache/cachetest", `"memory" imports "cache/cachetest", which is for tests`},
		{"a foreign module", "memory", "example.com/other", `"memory" imports example.com/other, which is no dependency`},
		{"the Redis client in the contract", "cache", redisModule, `"cache" imports ` + redisModule},
		{"the codec outside the contract", "patterns", msgpackModule, `"patterns" imports ` + msgpackModule},
		{"a test library outside tests", "cache", "testing", `"cache" links testing: ` + Module + "/cache > testing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := clean()
			g.add(tc.dir, tc.imports)
			violations := checkAll(g)
			found := false
			for _, v := range violations {
				switch {
				case strings.Contains(v, tc.want):
					found = true
				case !strings.Contains(v, "links testing"): // whoever imports the package at fault
					t.Errorf("got another violation: %s", v)
				}
			}
			if !found {
				t.Errorf("got %q, want one with %q", violations, tc.want)
			}
		})
	}
}

func TestATestLibraryIsFoundFarBelow(t *testing.T) {
	g := clean()
	p := g[redisModule]
	p.Imports = append(p.Imports, "testing")
	g[redisModule] = p
	got := strings.Join(CheckReach(g, "testing"), "\n")
	for _, want := range []string{
		`"distributed" links testing: ` + Module + "/distributed > " + redisModule + " > testing",
		`"distributed/near" links testing`,
		`"" links testing`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want a line with %s", got, want)
		}
	}
	if strings.Contains(got, `"patterns" links`) {
		t.Errorf("got %s, want no word of what does not import it", got)
	}
}

func TestAForeignRequirementIsFound(t *testing.T) {
	got := CheckRequirements([]string{redisModule, "example.com/other"}, Dependencies())
	if len(got) != 1 || !strings.Contains(got[0], "example.com/other") {
		t.Errorf("got %q, want one violation", got)
	}
}
