package main

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/bench/faults"
	"github.com/larder-go/larder/internal/bench/l1"
	"github.com/larder-go/larder/internal/bench/l2"
)

func TestWithoutPartsAllAreMeasured(t *testing.T) {
	for args, want := range map[string]flags{
		"":                  {l1: true, l2: true, faults: true, ratios: true},
		"-quick -out a.md":  {l1: true, l2: true, faults: true, ratios: true, quick: true, out: "a.md"},
		"-l2 -raw raw.txt":  {l2: true, raw: "raw.txt"},
		"-l1 -faults":       {l1: true, faults: true},
		"-ratios -traces d": {ratios: true, traces: "d"},
	} {
		got, err := parse(strings.Fields(args), io.Discard)
		if err != nil || got != want {
			t.Errorf("%q: got %+v and %v, want %+v", args, got, err, want)
		}
	}
	if _, err := parse([]string{"-unknown"}, io.Discard); err == nil {
		t.Error("got an unknown flag accepted")
	}
}

func TestQuickRunWritesReportAndRawFile(t *testing.T) {
	dir := t.TempDir()
	out, raw := filepath.Join(dir, "out.md"), filepath.Join(dir, "raw.txt")
	if err := run(t.Context(), []string{"-l1", "-ratios", "-quick", "-out", out, "-raw", raw}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	for path, wants := range map[string][]string{
		out: {"# Benchmarks", "## Machine and method", "## Targets", "## Caches in memory", "otter GetIfPresent", "## Hit ratios", "| mean of OPT | | 100 |"},
		raw: {"BenchmarkL1/pointer/hot/larder_Typed.Get-1\t", "ns/op", "allocs/op"},
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(content), want) {
				t.Errorf("%s lacks %q", filepath.Base(path), want)
			}
		}
	}
}

func TestMemoryTargets(t *testing.T) {
	cell := l1.Cell{Values: "pointer", Workload: "hot", Procs: runtime.NumCPU()}
	result := func(call string, kind l1.Kind, nanos float64) *l1.Result {
		at := cell
		at.Call = call
		return &l1.Result{Cell: at, Kind: kind, Nanos: bench.Sample{nanos}}
	}
	for _, tc := range []struct {
		get, ours           float64
		getHolds, oursHolds bool
	}{
		{65, 59, true, true},
		{66, 60, false, false},
	} {
		checks := memoryTargets([]*l1.Result{
			result("larder Typed.Get", l1.Lookup, tc.get), result(l1.Reference, l1.Lookup, 50),
			result("larder slow", l1.Loading, 500), result("larder fast", l1.Loading, tc.ours),
			result("otter", l1.Loading, 60), result("sturdyc", l1.Loading, 200),
		})
		if len(checks) != 2 || checks[0].holds != tc.getHolds || checks[1].holds != tc.oursHolds {
			t.Errorf("got %+v, want %v and %v", checks, tc.getHolds, tc.oursHolds)
		}
	}
	for ours, holds := range map[float64]bool{20: true, 21: false} {
		checks := peerTargets([]*l1.Result{
			result("larder GetOrCreateExclusiveWith", l1.Loading, ours),
			result("otter Get with closure", l1.Loading, 50), result("sturdyc GetOrFetch", l1.Loading, 80),
		}, cell)
		if len(checks) != 2 || checks[0].holds != holds || checks[1].holds != holds {
			t.Errorf("%v ns: got %+v, want %t", ours, checks, holds)
		}
	}
	if checks := memoryTargets(nil); len(checks) > 0 {
		t.Errorf("got %+v of nothing", checks)
	}
}

func TestRedisTargets(t *testing.T) {
	result := func(client string, goroutines int, perSecond, p50 float64) *l2.Result {
		load := l2.Load{Op: l2.Get, Size: 100, Goroutines: goroutines}
		return &l2.Result{Cell: l2.Cell{Client: client, Load: load}, PerSecond: bench.Sample{perSecond}, P50: bench.Sample{p50}}
	}
	checks := redisTargets([]*l2.Result{
		result(l2.Larder, 1, 10, 110), result(l2.Plain, 1, 10, 100),
		result(l2.Larder, 8, 10, 111), result(l2.Plain, 8, 10, 100),
		result(l2.Larder, 64, 300, 1), result(l2.Plain, 64, 100, 1), result(l2.Rueidis, 64, 250, 1),
	})
	var holds []bool
	for _, c := range checks {
		holds = append(holds, c.holds)
	}
	want := []bool{true, false, true, false} // 3x plain, 1.2x rueidis, 1.10x and 1.11x the latency
	if len(holds) != len(want) {
		t.Fatalf("got %+v, want %d targets", checks, len(want))
	}
	for i := range want {
		if holds[i] != want[i] {
			t.Errorf("%s: got %v, want %v", checks[i].target, holds[i], want[i])
		}
	}
}

func TestFrozenTargetsTakeTheWorstCall(t *testing.T) {
	r := &report{frozen: []faults.Frozen{{First: bench.Sample{1e8, 2e8, 1e8}, Later: bench.Sample{1000, 4e6}}}}
	checks := frozenTargets(r)
	if len(checks) != 2 || checks[0].holds || !checks[1].holds {
		t.Errorf("got %+v, want the first missed for one round and the second held", checks)
	}
}

func TestChecksSayWhetherTheyHold(t *testing.T) {
	got := checkTable([]check{{"fast", "1x", true}, {"faster", "2x", false}}).String()
	if !strings.Contains(got, "   yes |") || !strings.Contains(got, "**no** |") {
		t.Errorf("got\n%s", got)
	}
}
