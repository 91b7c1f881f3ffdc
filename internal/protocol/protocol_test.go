//go:build !race

// A check is one goroutine: the race detector would only make it ten times
// slower.

package protocol_test

import (
	"fmt"
	"os"
	"testing"

	. "github.com/larder-go/larder/internal/protocol"
)

// fullEnv, if set, makes the checks as large as they can be in two minutes and
// 2 GB.
const fullEnv = "LARDER_PROTOCOL_FULL"

var (
	oneProcess   = []int{0, 0}
	twoProcesses = []int{0, 1}
	crowd        = []int{0, 0, 1}
)

// named is a configuration, whose Gets is up to the test.
type named struct {
	name string
	Config
}

// promised are two readers and two writers, where larder's protocol keeps both
// properties.
func promised() []named {
	return []named{
		{"invalidating, one process", Config{Readers: oneProcess, Writers: []Mode{Invalidates, Invalidates}}},
		{"invalidating, two processes", Config{Readers: twoProcesses, Writers: []Mode{Invalidates, Invalidates}}},

		{"marking, one process", Config{Readers: oneProcess, Writers: []Mode{Marks, Marks}, Crashes: true}},
		{"marking, two processes", Config{Readers: twoProcesses, Writers: []Mode{Marks, Marks}, Crashes: true}},
		{"marking and invalidating, one process", Config{Readers: oneProcess, Writers: []Mode{Marks, Invalidates}, Crashes: true}},
		{"marking and invalidating, two processes", Config{Readers: twoProcesses, Writers: []Mode{Marks, Invalidates}, Crashes: true}},

		{"marks are lost, one process", Config{Readers: oneProcess, Writers: []Mode{Marks, Marks}, LosesMarks: true}},
		{"marks are lost, two processes", Config{Readers: twoProcesses, Writers: []Mode{Marks, Marks}, LosesMarks: true}},
		{"marks are lost, marking and invalidating, one process", Config{Readers: oneProcess, Writers: []Mode{Marks, Invalidates}, LosesMarks: true}},
		{"marks are lost, marking and invalidating, two processes", Config{Readers: twoProcesses, Writers: []Mode{Marks, Invalidates}, LosesMarks: true}},

		{"late commands and crashes", Config{Readers: oneProcess, Writers: []Mode{Marks, Marks}, Crashes: true, Late: true}},
		{"late commands and lost marks", Config{Readers: oneProcess, Writers: []Mode{Marks, Marks}, LosesMarks: true, Late: true}},

		{"region, one process", Config{Readers: oneProcess, Writers: []Mode{ExpireRegion, ExpireRegion}, Regions: true, LosesGeneration: true}},
		{"region, two processes", Config{Readers: twoProcesses, Writers: []Mode{ExpireRegion, ExpireRegion}, Regions: true, LosesGeneration: true}},
		{"region and invalidating, one process", Config{Readers: oneProcess, Writers: []Mode{Invalidates, ExpireRegion}, Regions: true, LosesGeneration: true}},
		{"region and invalidating, two processes", Config{Readers: twoProcesses, Writers: []Mode{Invalidates, ExpireRegion}, Regions: true, LosesGeneration: true}},
		{"region and marking, one process", Config{Readers: oneProcess, Writers: []Mode{Marks, ExpireRegion}, Regions: true, LosesGeneration: true, Crashes: true}},
		{"region and marking, two processes", Config{Readers: twoProcesses, Writers: []Mode{Marks, ExpireRegion}, Regions: true, LosesGeneration: true, Crashes: true}},
		{"region named late, one process", Config{Readers: oneProcess, Writers: []Mode{ExpireRegion, ExpireRegion}, Regions: true, LosesGeneration: true, NamesLate: true}},
		{"region named late, two processes", Config{Readers: twoProcesses, Writers: []Mode{ExpireRegion, ExpireRegion}, Regions: true, LosesGeneration: true, NamesLate: true}},
		{"region named late and invalidating", Config{Readers: oneProcess, Writers: []Mode{Invalidates, ExpireRegion}, Regions: true, LosesGeneration: true, NamesLate: true}},
		{"region and lost marks", Config{Readers: twoProcesses, Writers: []Mode{Marks, ExpireRegion}, Regions: true, LosesGeneration: true, LosesMarks: true}},
	}
}

// crowded are three readers, likewise.
func crowded() []named {
	return []named{
		{"three readers, invalidating", Config{Readers: crowd, Writers: []Mode{Invalidates, Invalidates}}},
		{"three readers, marking and invalidating", Config{Readers: crowd, Writers: []Mode{Marks, Invalidates}, Crashes: true}},
	}
}

// large are more actors than the usual bounds have time for.
func large() []named {
	return []named{
		{"three readers, marking", Config{Readers: crowd, Writers: []Mode{Marks, Marks}, Crashes: true}},
		{"three readers, region", Config{Readers: crowd, Writers: []Mode{ExpireRegion, Invalidates}, Regions: true, LosesGeneration: true}},
		{"three writers, marking", Config{Readers: oneProcess, Writers: []Mode{Marks, Marks, Marks}, Crashes: true}},
		{"three writers, marking and invalidating", Config{Readers: oneProcess, Writers: []Mode{Marks, Marks, Invalidates}, Crashes: true}},
	}
}

// A get that begins after a write has returned never gets what was there before
// it, and no old value stays in the cache.
func TestProtocolHasNoStaleReads(t *testing.T) {
	var all []*Result
	gets, getsOfMany, full := 2, 1, os.Getenv(fullEnv) != ""
	switch {
	case testing.Short():
		gets = 1
	case full:
		gets, getsOfMany = 3, 2
	}
	var states, steps int
	run := func(name string, c Config, gets int) {
		t.Run(name, func(t *testing.T) {
			c.Gets = gets
			r := Check(Larder(), c)
			if t.Logf("%d gets each: %v", gets, r); r.Breaks != Kept {
				t.Errorf("got %v, want %v", r.Breaks, Kept)
			}
			states, steps = states+r.States, steps+r.Steps
			all = append(all, r)
		})
	}
	for _, c := range promised() {
		run(c.name, c.Config, gets)
	}
	var more []named
	if !testing.Short() {
		more = crowded()
	}
	if full {
		more = append(more, large()...)
	}
	for _, c := range more {
		run(c.name, c.Config, getsOfMany)
	}
	t.Logf("%d states and %d steps in all", states, steps)
	t.Run("everything happened", func(t *testing.T) { everythingHappened(t, all) })
}

// everythingHappened reports kinds of steps that no check went through: what
// never happens keeps any promise.
func everythingHappened(t *testing.T, all []*Result) {
	type kind struct {
		op      Op
		outcome Outcome
	}
	count := func(k kind) (n int) {
		for _, r := range all {
			n += r.Seen(k.op, k.outcome)
		}
		return n
	}
	for _, k := range []kind{
		{Look, Hit}, {Look, Miss}, {ReadGeneration, Hit}, {ReadGeneration, Miss},
		{SendPeek, Hit}, {SendPeek, Miss},
		{Board, Leads}, {Board, JoinsEarly}, {Board, Joins}, {Board, JoinsLate},
		{AskLease, Hit}, {AskLease, Leads}, {AskLease, Bypasses},
		{Load, Done}, {SendFill, Stores}, {SendFill, Refused}, {SendRelease, Done}, {EndFlight, Done},
		{SendBegin, Done}, {Commit, Done}, {Rollback, Done}, {SendEnd, Stores}, {SendEnd, Deletes}, {SendEnd, Leaves},
		{SendInvalidate, Done}, {SendExpire, Done}, {Crash, Done},
		{AskUnexpired, Done}, {AskUnexpired, Refused}, {EndFlight, StartsOver}, {SendRelease, StartsOver},
		{LeaseRunsOut, Done}, {MarkRunsOut, Done}, {KeyLost, Done}, {GenerationLost, Done},
		{BeginAgain, Done}, {EndAgain, Deletes}, {EndAgain, Leaves},
	} {
		if count(k) == 0 {
			t.Errorf("no step %q with outcome %q", k.op, k.outcome)
		}
	}
	if n := count(kind{EndAgain, Stores}); n != 0 {
		t.Errorf("END_WRITE stored %d times when it arrived once more, want never", n)
	}
}

// What larder does not promise, the checker finds broken: see the package
// comment. If one of these is ever kept, it can be promised.
func TestWhatIsNotPromised(t *testing.T) {
	for _, tc := range []struct {
		name string
		Config
		want Property
	}{
		{"a replica that lags, read after it", Config{Writers: []Mode{Invalidates}, ReplicaLag: true}, StaleRead},
		{"a replica that lags, kept for good", Config{Writers: []Mode{Marks}, ReplicaLag: true}, StaleRest},
		{"a crash before INVALIDATE, without a mark", Config{Writers: []Mode{Invalidates}, UnmarkedCrashes: true}, StaleRest},
		{"a crash before the region is expired", Config{Writers: []Mode{ExpireRegion}, Regions: true, UnmarkedCrashes: true}, StaleRest},
		{"a lost mark and a crash", Config{Writers: []Mode{Marks}, LosesMarks: true, Crashes: true}, StaleRest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := tc.Config
			c.Readers, c.Gets, c.Only = twoProcesses, 2, tc.want
			r := Check(Larder(), c)
			if t.Logf("%v", r); r.Breaks != tc.want {
				t.Errorf("got %v, want %v", r.Breaks, tc.want)
			}
		})
	}
}

// What catches a mutant is its flaw, not the place: larder's protocol keeps
// both properties there.
func TestLarderIsKeptWhereMutantsAreCaught(t *testing.T) {
	checked := map[string]bool{}
	for _, mu := range mutants() {
		in := fmt.Sprintf("%+v", mu.in)
		if checked[in] {
			continue
		}
		checked[in] = true
		if r := Check(Larder(), mu.in); r.Breaks != Kept {
			t.Errorf("%s: %v", in, r)
		}
	}
}
