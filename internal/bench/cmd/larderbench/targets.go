package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/bench/l1"
	"github.com/larder-go/larder/internal/bench/l2"
)

// check is one target and what was measured of it.
type check struct {
	target, measured string
	holds            bool
}

func checkTable(checks []check) *bench.Table {
	t := &bench.Table{Header: []string{"target", "measured", "holds"}}
	for _, c := range checks {
		verdict := "**no**"
		if c.holds {
			verdict = "yes"
		}
		t.Add(c.target, c.measured, verdict)
	}
	return t
}

// targets compares what was measured with what larder is meant to reach.
func targets(r *report) []check {
	return append(append(memoryTargets(r.l1), redisTargets(r.l2)...), frozenTargets(r)...)
}

const (
	maxHitRatio = 1.3 // Typed.Get to otter GetIfPresent

	maxFirst = 150 * time.Millisecond // with Redis frozen
	maxLater = 5 * time.Millisecond
)

func memoryTargets(results []*l1.Result) []check {
	var checks []check
	for _, values := range []string{"pointer", "struct"} {
		for _, workload := range []string{"hot", "zipf"} {
			for _, procs := range l1.Procs() {
				cell := l1.Cell{Values: values, Workload: workload, Procs: procs}
				checks = append(checks, hitTarget(results, cell)...)
				checks = append(checks, loadingTarget(results, cell)...)
				checks = append(checks, peerTargets(results, cell)...)
			}
		}
	}
	return checks
}

func hitTarget(results []*l1.Result, cell l1.Cell) []check {
	ours, theirs := find(results, cell, "larder Typed.Get"), find(results, cell, l1.Reference)
	if ours == nil || theirs == nil {
		return nil
	}
	ratio := ours.Nanos.Ratio(theirs.Nanos)
	return []check{{
		target:   fmt.Sprintf("Typed.Get takes at most %.1fx of %s: %s", maxHitRatio, l1.Reference, where(cell)),
		measured: bench.Times(ratio),
		holds:    ratio <= maxHitRatio,
	}}
}

// loadingTarget compares larder's best way to read and load with the peers'.
func loadingTarget(results []*l1.Result, cell l1.Cell) []check {
	var ours, theirs []*l1.Result
	for _, r := range results {
		at := r.Cell
		at.Call = ""
		switch {
		case at != cell || r.Kind != l1.Loading:
		case strings.HasPrefix(r.Call, "larder "):
			ours = append(ours, r)
		default:
			theirs = append(theirs, r)
		}
	}
	nanos := func(r *l1.Result) float64 { return r.Nanos.Median() }
	us, found := bench.Least(ours, nanos)
	them, alsoFound := bench.Least(theirs, nanos)
	if !found || !alsoFound {
		return nil
	}
	return []check{{
		target:   "Faster than every loading call of peers: " + where(cell),
		measured: fmt.Sprintf("%s ns (%s), the fastest peer %s ns (%s)", bench.Number(nanos(us)), us.Call, bench.Number(nanos(them)), them.Call),
		holds:    nanos(us) < nanos(them),
	}}
}

// peerTargets compares a hit that might have loaded with single peers.
func peerTargets(results []*l1.Result, cell l1.Cell) (checks []check) {
	for _, t := range []struct {
		peer  string
		least float64
	}{{"otter Get with closure", 2.5}, {"sturdyc GetOrFetch", 4}} {
		ours, theirs := find(results, cell, "larder GetOrCreateExclusiveWith"), find(results, cell, t.peer)
		if ours == nil || theirs == nil {
			continue
		}
		ratio := theirs.Nanos.Ratio(ours.Nanos)
		checks = append(checks, check{
			target:   fmt.Sprintf("GetOrCreateExclusiveWith at least %.1fx as fast as %s: %s", t.least, t.peer, where(cell)),
			measured: bench.Times(ratio),
			holds:    ratio >= t.least,
		})
	}
	return checks
}

func find(results []*l1.Result, cell l1.Cell, call string) *l1.Result {
	cell.Call = call
	return l1.Find(results, cell)
}

func where(cell l1.Cell) string {
	return fmt.Sprintf("%s, %s, x%d", cell.Values, cell.Workload, cell.Procs)
}

// redisTargets are about hits of 100 B.
func redisTargets(results []*l2.Result) []check {
	var checks []check
	for _, t := range []struct {
		goroutines int
		peer       string
		least      float64
	}{
		{64, l2.Plain, 3}, {256, l2.Plain, 5}, {64, l2.Rueidis, 1.3}, {256, l2.Rueidis, 1.3},
	} {
		load := l2.Load{Op: l2.Get, Size: 100, Goroutines: t.goroutines}
		ours, theirs := l2.Find(results, l2.Cell{Client: l2.Larder, Load: load}), l2.Find(results, l2.Cell{Client: t.peer, Load: load})
		if ours == nil || theirs == nil {
			continue
		}
		ratio := ours.PerSecond.Ratio(theirs.PerSecond)
		checks = append(checks, check{
			target:   fmt.Sprintf("At least %.1fx the hits per second of %s: 100 B, %d goroutines", t.least, t.peer, t.goroutines),
			measured: bench.Times(ratio),
			holds:    ratio >= t.least,
		})
	}
	return append(checks, latencyTargets(results)...)
}

const maxLatencyRatio = 1.1 // to plain go-redis, where there is little to share

func latencyTargets(results []*l2.Result) []check {
	var checks []check
	for _, goroutines := range []int{1, 8} {
		load := l2.Load{Op: l2.Get, Size: 100, Goroutines: goroutines}
		ours, theirs := l2.Find(results, l2.Cell{Client: l2.Larder, Load: load}), l2.Find(results, l2.Cell{Client: l2.Plain, Load: load})
		if ours == nil || theirs == nil {
			continue
		}
		ratio := ours.P50.Ratio(theirs.P50)
		checks = append(checks, check{
			target:   fmt.Sprintf("Median latency of a hit at most %.1fx that of %s: 100 B, %d goroutines", maxLatencyRatio, l2.Plain, goroutines),
			measured: bench.Times(ratio),
			holds:    ratio <= maxLatencyRatio,
		})
	}
	return checks
}

func frozenTargets(r *report) []check {
	if len(r.frozen) == 0 {
		return nil
	}
	ours := r.frozen[0]
	first, later := time.Duration(ours.First.Max()), time.Duration(ours.Later.Max())
	return []check{
		{fmt.Sprintf("Redis frozen: the first call takes at most %v, in every round", maxFirst), bench.Span(first), first <= maxFirst},
		{fmt.Sprintf("Redis frozen: every later call takes at most %v", maxLater), bench.Span(later), later <= maxLater},
	}
}
