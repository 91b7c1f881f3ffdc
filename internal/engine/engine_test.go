package engine

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func node(key string, value int) *Node[int] { return NewNode(key, value, 1, Never, false) }

func weighing(key string, weight int64) *Node[int] { return NewNode(key, 0, weight, Never, false) }

func pinning(key string, weight int64) *Node[int] { return NewNode(key, 0, weight, Never, true) }

func mustSet(t *testing.T, e *Engine[int], n *Node[int]) {
	t.Helper()
	if err := e.Set(n); err != nil {
		t.Fatalf("Set: got %v, want nil", err)
	}
}

func wantValue(t *testing.T, e *Engine[int], key string, want int) {
	t.Helper()
	if got, ok := e.Get(key); !ok || got != want {
		t.Errorf("Get: got %d and %t, want %d", got, ok, want)
	}
}

func wantNone(t *testing.T, e *Engine[int], key string) {
	t.Helper()
	if n := e.Find(key); n != nil {
		t.Errorf("Find: got %d, want nothing", n.Value)
	}
}

func TestWhatIsStoredIsFound(t *testing.T) {
	e := New(Options[int]{})
	wantNone(t, e, "a")
	mustSet(t, e, node("a", 1))
	wantValue(t, e, "a", 1)
	mustSet(t, e, node("a", 2))
	wantValue(t, e, "a", 2)
	e.Remove("a")
	wantNone(t, e, "a")
	e.Remove("a")
	if s := e.Stats(); s.Entries != 0 || s.Weight != 0 || s.Hits != 2 {
		t.Errorf("got %+v, want nothing left and two hits", s)
	}
}

func TestManyEntriesAreFoundWhileTheTableGrowsAndShrinks(t *testing.T) {
	e := New(Options[int]{})
	const count = 50_000
	for i := range count {
		mustSet(t, e, node(fmt.Sprint(i), i))
		if i%100 == 0 {
			wantValue(t, e, fmt.Sprint(i/2), i/2)
		}
	}
	for i := range count {
		wantValue(t, e, fmt.Sprint(i), i)
	}
	for i := range count {
		if i%50 != 0 {
			e.Remove(fmt.Sprint(i))
		}
	}
	for i := 0; i < count; i += 50 {
		wantValue(t, e, fmt.Sprint(i), i)
	}
	seen := 0
	e.Entries(func(*Node[int]) bool { seen++; return true })
	if seen != count/50 {
		t.Errorf("Entries: got %d, want %d", seen, count/50)
	}
}

func TestEverySizeHoldsThatManyAndNoMore(t *testing.T) {
	for size := int64(1); size <= 200; size++ {
		evicted := 0
		e := New(Options[int]{Limits: Limits{Entries: size}, Gone: func(_ *Node[int], c Cause) {
			if c != Capacity {
				t.Errorf("size %d: got cause %v, want Capacity", size, c)
			}
			evicted++
		}})
		for i := range 3 * size {
			mustSet(t, e, node(fmt.Sprint(i), int(i)))
			if got, want := e.Stats().Entries, min(i+1, size); got != want {
				t.Fatalf("size %d: got %d entries after %d, want %d", size, got, i+1, want)
			}
		}
		if int64(evicted) != 2*size {
			t.Errorf("size %d: got %d evictions, want %d", size, evicted, 2*size)
		}
	}
}

func TestReplacingTheOnlyEntryEvictsNothing(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 1, Weight: 10}, Gone: func(n *Node[int], c Cause) {
		t.Errorf("got %d gone by %v, want nobody", n.Value, c)
	}})
	for _, weight := range []int64{3, 10, 1, 7} {
		mustSet(t, e, weighing("a", weight))
		if got := e.Stats(); got.Entries != 1 || got.Weight != weight {
			t.Errorf("got %+v, want one entry of weight %d", got, weight)
		}
	}
}

func TestTooHeavyAnEntryIsRefusedUpFront(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Weight: 10}})
	mustSet(t, e, weighing("a", 6))
	mustSet(t, e, weighing("b", 4))
	for _, key := range []string{"a", "c"} {
		if err := e.Set(weighing(key, 11)); !errors.Is(err, ErrTooHeavy) {
			t.Errorf("got %v, want ErrTooHeavy", err)
		}
	}
	wantValue(t, e, "a", 0)
	wantValue(t, e, "b", 0)
	mustSet(t, e, weighing("c", 10))
	if got := e.Stats(); got.Entries != 1 || got.Weight != 10 {
		t.Errorf("got %+v, want the big entry alone", got)
	}
}

func TestPinnedEntriesAreNotEvicted(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 3, Weight: 100}})
	mustSet(t, e, pinning("p", 10))
	mustSet(t, e, pinning("q", 10))
	for i := range 100 {
		mustSet(t, e, weighing(fmt.Sprint(i), 80))
	}
	wantValue(t, e, "p", 0)
	if err := e.Set(weighing("a", 81)); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull for what does not fit beside pinned entries", err)
	}
	wantValue(t, e, "99", 0)
	mustSet(t, e, pinning("r", 80))
	if err := e.Set(weighing("a", 0)); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull when all are pinned", err)
	}
	mustSet(t, e, weighing("r", 1)) // no longer pinned
	mustSet(t, e, weighing("a", 0))
	wantNone(t, e, "r")
	if got, want := e.Stats().Pinned, (Limits{Entries: 2, Weight: 20}); got != want {
		t.Errorf("got %+v pinned, want %+v", got, want)
	}
}

func TestComputeSeesAndDecides(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 10}})
	calls := 0
	add := func(old *Node[int]) *Node[int] {
		calls++
		if old == nil {
			return node("a", 1)
		}
		if old.Value == 3 {
			return old
		}
		return node("a", old.Value+1)
	}
	for range 5 {
		if err := e.Compute("a", 1, add); err != nil {
			t.Fatal(err)
		}
	}
	wantValue(t, e, "a", 3)
	if calls != 5 {
		t.Errorf("got %d calls, want 5", calls)
	}
	if err := e.Compute("b", 1, func(*Node[int]) *Node[int] { return nil }); err != nil {
		t.Fatal(err)
	}
	if got := e.Stats(); got.Entries != 1 || got.Weight != 1 {
		t.Errorf("got %+v, want room that was not used given back", got)
	}
}

func TestSameWeightNeedsNoRoom(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Weight: 10}})
	mustSet(t, e, weighing("a", 7))
	same := func(key string, weight int64) error {
		return e.Compute(key, SameWeight, func(old *Node[int]) *Node[int] {
			if old == nil {
				return nil
			}
			return NewNode(key, 5, weight, Never, false)
		})
	}
	for _, weight := range []int64{7, 3} {
		if err := same("a", weight); err != nil {
			t.Fatal(err)
		}
		wantValue(t, e, "a", 5)
		if s := e.Stats(); s.Weight != weight {
			t.Errorf("got weight %d, want %d", s.Weight, weight)
		}
	}
	if err := same("b", 1); err != nil || e.Find("b") != nil {
		t.Errorf("got %v and something under a key that had nothing", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a heavier node was taken for one of the same weight")
		}
		if err := e.verify(); err != nil {
			t.Error(err)
		}
	}()
	_ = same("a", 4)
}

func TestAPanicInComputeLeavesTheEngineUsable(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 1}})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("got no panic")
			}
		}()
		_ = e.Compute("a", 1, func(*Node[int]) *Node[int] { panic("a fault") })
	}()
	func() {
		defer func() { _ = recover() }()
		_ = e.Put(node("a", 1), func(*Node[int]) *Node[int] { panic("a fault") })
	}()
	if s := e.Stats(); s.Entries != 0 || s.Weight != 0 {
		t.Errorf("got %+v, want nothing stored", s)
	}
	mustSet(t, e, node("a", 1))
	mustSet(t, e, node("b", 2))
	if got := e.Stats().Entries; got != 1 {
		t.Errorf("got %d entries, want 1", got)
	}
}

func TestAFaultInTheOwnersCodeIsNotTakenForAnEntry(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 10, Weight: 10}})
	used := node("used", 0)
	mustSet(t, e, used)
	e.Remove("used")
	for name, n := range map[string]*Node[int]{
		"another key": node("b", 0), "heavier than announced": weighing("a", 6), "a node that was used": used,
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: got no panic", name)
				}
			}()
			key := "a"
			if n == used {
				key = "used"
			}
			_ = e.Compute(key, 5, func(*Node[int]) *Node[int] { return n })
		}()
	}
	for name, n := range map[string][2]*Node[int]{"another": {node("a", 0), node("a", 0)}, "a node that was used": {used, used}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Put, %s: got no panic", name)
				}
			}()
			_ = e.Put(n[0], func(*Node[int]) *Node[int] { return n[1] })
		}()
	}
	if s := e.Stats(); s.Entries != 0 || s.Weight != 0 {
		t.Errorf("got %+v, want nothing stored", s)
	}
	if n := NewNode("a", 0, -3, Never, false); n.Weight() != 0 {
		t.Errorf("got weight %d, want 0", n.Weight())
	}
}

// A node that is refused leaves nothing behind, and costs what it would have
// taken the place of.
func TestPutOfWhatIsRefused(t *testing.T) {
	var left []string
	e := New(Options[int]{Limits: Limits{Weight: 10}, Gone: func(n *Node[int], _ Cause) { left = append(left, n.Key()) }})
	for _, key := range []string{"a", "b"} {
		mustSet(t, e, weighing(key, 5))
	}
	for _, n := range []*Node[int]{weighing("c", 3), weighing("d", 9), NewNode("e", 0, 9, int64(time.Hour), true)} {
		if err := e.Put(n, func(old *Node[int]) *Node[int] { return old }); err != nil || e.Peek(n.Key()) != nil || !n.Dead() {
			t.Errorf("%s: got %v, want it refused", n.Key(), err)
		}
	}
	if s := e.Stats(); s.Entries != 0 || s.Weight != 0 || s.Pinned != (Limits{}) || len(left) != 2 {
		t.Errorf("got %+v and %q left, want nothing", s, left)
	}
	if err := e.verify(); err != nil {
		t.Error(err)
	}
}

// A victim that was replaced just before its lock was got is not evicted.
func TestPutWhoseVictimIsReplacedMeanwhile(t *testing.T) {
	for _, key := range []string{"a", "b"} { // one of them is the victim
		e := New(Options[int]{Limits: Limits{Entries: 2}})
		for i, key := range []string{"a", "b"} {
			mustSet(t, e, node(key, i))
		}
		replaced := e.Peek(key)
		mustSet(t, e, node(key, 2))
		current := e.Peek(key)
		e.policy.slots.at(current.pos).node.Store(replaced)
		mustSet(t, e, node("c", 3))
		if e.Peek(key) != nil {
			e.policy.slots.at(current.pos).node.Store(current)
		}
		if err := e.verify(); err != nil || e.Peek("c") == nil {
			t.Errorf("%s: got %v, and c: %v", key, err, e.Peek("c"))
		}
	}
}

func TestResizeEvictsDown(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 100, Weight: 1000}})
	mustSet(t, e, pinning("p", 5))
	for i := range 99 {
		mustSet(t, e, weighing(fmt.Sprint(i), 5))
	}
	e.Resize(Limits{Entries: 50})
	if got := e.Stats(); got.Entries != 50 {
		t.Errorf("got %d entries, want 50", got.Entries)
	}
	e.Resize(Limits{Weight: 17})
	if got := e.Stats(); got.Entries != 3 {
		t.Errorf("got %d entries, want 3", got.Entries)
	}
	e.Resize(Limits{Weight: 2})
	if got := e.Stats(); got.Entries != 1 {
		t.Errorf("got %d entries, want the pinned one", got.Entries)
	}
	e.Resize(Limits{})
	for i := range 1000 {
		mustSet(t, e, weighing(fmt.Sprint(i), 5))
	}
	if got := e.Stats(); got.Entries != 1001 {
		t.Errorf("got %d entries, want no limit", got.Entries)
	}
}

func TestClearRemovesAll(t *testing.T) {
	causes := map[Cause]int{}
	e := New(Options[int]{Gone: func(_ *Node[int], c Cause) { causes[c]++ }})
	for i := range 1000 {
		mustSet(t, e, NewNode(fmt.Sprint(i), i, 1, int64(time.Hour), i%10 == 0))
	}
	e.Clear()
	if got := e.Stats(); got.Entries != 0 || got.Weight != 0 || got.Pinned != (Limits{}) || causes[Removed] != 1000 {
		t.Errorf("got %+v and %v, want nothing left and each reported", got, causes)
	}
	mustSet(t, e, node("1", 7))
	wantValue(t, e, "1", 7)
}
