package l1

import (
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

func TestWorkloadsAskForKeysThatExist(t *testing.T) {
	s := NewSource(1000, Value)
	for _, w := range []*Workload{Hot(s), Zipf(s)} {
		if len(w.Keys) != steps || len(w.IDs) != steps {
			t.Fatalf("%s: got %d keys and %d ids, want %d", w.Name, len(w.Keys), len(w.IDs), steps)
		}
		for i, key := range w.Keys {
			if id := w.IDs[i]; s.Keys[id] != key || s.Values[id].ID != id {
				t.Fatalf("%s: step %d asks for %q, which is not that of id %d", w.Name, i, key, id)
			}
		}
	}
}

func TestZipfPrefersFewKeys(t *testing.T) {
	s := NewSource(1000, Value)
	count, most := map[string]int{}, 0
	for _, key := range Zipf(s).Keys {
		count[key]++
		most = max(most, count[key])
	}
	if len(count) < 900 || most < steps/20 {
		t.Errorf("got %d different keys, the most popular %d times of %d; want nearly all, one of them often", len(count), most, steps)
	}
}

func TestOpenFillsEveryCache(t *testing.T) {
	s := NewSource(2000, Pointer)
	caches, err := Open(s)
	if err != nil {
		t.Fatal(err)
	}
	defer CloseAll(caches)
	for _, call := range Calls(caches) {
		if failed := call.Loop(Zipf(s), 0, 5000); failed > 0 {
			t.Errorf("%s: %d of 5000 calls failed", call.Name, failed)
		}
	}
	if s.Loads() > 0 {
		t.Errorf("got %d loads, want none", s.Loads())
	}
}

func TestACacheThatMissesIsFound(t *testing.T) {
	s := NewSource(10, Value)
	hole := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if w.IDs[i&mask] == 7 {
				failed++
			}
		}
		return failed
	}
	err := check(s, []*Cache{{Calls: []Call{{"leaky Get", Lookup, hole}}}})
	if err == nil || !strings.Contains(err.Error(), "leaky Get") {
		t.Errorf("got %v, want the leaky cache named", err)
	}
	if _, err := measure(Call{"leaky Get", Lookup, hole}, Zipf(s), 2, time.Millisecond); err == nil {
		t.Error("got a measurement of calls that failed")
	}
}

func TestMeasureCountsOperationsAndAllocations(t *testing.T) {
	var kept []*[100]byte
	loop := func(_ *Workload, _, n int) int {
		kept = kept[:0]
		for range n {
			kept = append(kept, new([100]byte))
		}
		return 0
	}
	m, err := measure(Call{"allocating", Lookup, loop}, nil, 1, 10*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if m.ops == 0 || m.ops%batch != 0 || m.nanos <= 0 || m.allocs < 0.99 || m.allocs > 1.5 || m.bytes < 100 {
		t.Errorf("got %+v, want whole batches and one allocation of 112 bytes each", m)
	}
}

func TestReportComparesWithTheReference(t *testing.T) {
	result := func(call string, kind Kind, workload string, nanos float64) *Result {
		return &Result{
			Cell: Cell{"pointer", workload, 1, call}, Kind: kind,
			Nanos: bench.Sample{nanos}, Allocs: bench.Sample{1}, Bytes: bench.Sample{48},
		}
	}
	report := Report([]*Result{
		result("larder Typed.Get", Loading, "hot", 75), result("larder Typed.Get", Loading, "zipf", 200),
		result(Reference, Lookup, "hot", 50), result(Reference, Lookup, "zipf", 100),
		result(StoreReference, Store, "zipf", 300),
	})
	for _, want := range []string{
		"hot x1", "zipf x1", "larder Typed.Get (loading)", "75.0 1.50x", "200 2.00x", "300 1.00x", "48 |",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}
