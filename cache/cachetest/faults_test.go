package cachetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// faulty returns a cache with the faults, and the model below.
func faulty(faults ...Fault) (*Faults, cache.Cache, *Model) {
	m := NewModel(cache.EntryOptions{})
	f, c := NewFaults(m, 1, faults...)
	return f, c, m
}

func has(t *testing.T, c cache.Cache, key, want string) {
	t.Helper()
	if value, found, err := c.Get(t.Context(), key); err != nil || !found || string(value) != want {
		t.Errorf("Get %s = %q, %v, %v, want %q", key, value, found, err, want)
	}
}

func hasNot(t *testing.T, c cache.Cache, key string) {
	t.Helper()
	if value, found, err := c.Get(t.Context(), key); err != nil || found {
		t.Errorf("Get %s = %q, %v, %v, want a miss", key, value, found, err)
	}
}

func set(ctx context.Context, c cache.Cache, key, value string) error {
	return c.Set(ctx, key, []byte(value), cache.EntryOptions{})
}

func TestNoFaultsKeepTheContract(t *testing.T) {
	Run(t, Config{New: func(testing.TB) cache.Cache { _, c, _ := faulty(); return c }})
}

func TestFailBeforeDoesNothing(t *testing.T) {
	custom := errors.New("custom")
	_, c, m := faulty(Fault{Kind: FailBefore, Ops: []string{"set"}}, Fault{Kind: FailBefore, Ops: []string{"remove"}, Err: custom})
	if err := set(t.Context(), c, "k", "v"); !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("Set = %v, want ErrUnavailable", err)
	}
	hasNot(t, m, "k")
	if err := c.Remove(t.Context(), "k"); !errors.Is(err, custom) {
		t.Errorf("Remove = %v, want the fault's own error", err)
	}
}

func TestFailAfterHasDoneIt(t *testing.T) {
	_, c, m := faulty(Fault{Kind: FailAfter})
	if err := set(t.Context(), c, "k", "v"); !errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Set = %v, want ErrOutcomeUnknown", err)
	}
	has(t, m, "k", "v")
	if value, found, err := c.Get(t.Context(), "k"); value != nil || found || !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("Get = %q, %v, %v, want nothing but ErrUnavailable", value, found, err)
	}
	n, err := c.(cache.Counter).Increment(t.Context(), "n", 3, cache.EntryOptions{})
	if n != 0 || !errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Increment = %d, %v, want 0, ErrOutcomeUnknown", n, err)
	}
	if n, _, _ := m.Count(t.Context(), "n"); n != 3 {
		t.Errorf("the counter is %d, want 3: the call was made", n)
	}
}

func TestLoseWriteReportsSuccess(t *testing.T) {
	_, c, m := faulty(Fault{Kind: LoseWrite, Ops: []string{"set", "set_many", "increment"}})
	if err := set(t.Context(), c, "k", "v"); err != nil {
		t.Errorf("Set = %v, want no error", err)
	}
	if err := c.(cache.Batcher).SetMany(t.Context(), []cache.Item{{Key: "k", Value: []byte("v")}}); err != nil {
		t.Errorf("SetMany = %v, want no error", err)
	}
	hasNot(t, m, "k")
	if n, err := c.(cache.Counter).Increment(t.Context(), "n", 1, cache.EntryOptions{}); n != 1 || err != nil {
		t.Errorf("Increment = %d, %v, want 1: it is made as usual", n, err)
	}
}

func TestWrongKeyBringsAnothersValue(t *testing.T) {
	f, c, _ := faulty()
	for _, key := range []string{"a", "b"} {
		if err := set(t.Context(), c, key, "value of "+key); err != nil {
			t.Fatal(err)
		}
	}
	f.Plan(Fault{Kind: WrongKey, Ops: []string{"get"}})
	has(t, c, "b", "value of a")
	has(t, c, "a", "value of b")
	f.Plan()
	has(t, c, "a", "value of a")
}

func TestNthBefallsOneCallOfEachOp(t *testing.T) {
	f, c, _ := faulty(Fault{Kind: FailBefore, Nth: 2, Ops: []string{"get", "remove"}})
	var failed []string
	for i := 1; i <= 3; i++ {
		if _, _, err := c.Get(t.Context(), "k"); err != nil {
			failed = append(failed, fmt.Sprint("get ", i))
		}
		if err := c.Remove(t.Context(), "k"); err != nil {
			failed = append(failed, fmt.Sprint("remove ", i))
		}
	}
	if want := []string{"get 2", "remove 2"}; !slices.Equal(failed, want) {
		t.Errorf("failed: %v, want %v", failed, want)
	}
	if f.Calls("get") != 3 || f.Injected(FailBefore) != 2 {
		t.Errorf("calls, injected = %d, %d, want 3, 2", f.Calls("get"), f.Injected(FailBefore))
	}
}

// fates returns which of n concurrent calls of Get failed, by count only, and
// which of n successive ones.
func fates(t *testing.T, seed uint64, n int) (together int, oneByOne string) {
	fault := Fault{Kind: FailBefore, Probability: 0.3}
	f, c := NewFaults(NewModel(cache.EntryOptions{}), seed, fault)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { _, _, _ = c.Get(t.Context(), "k") })
	}
	wg.Wait()
	_, c2 := NewFaults(NewModel(cache.EntryOptions{}), seed, fault)
	for range n {
		if _, _, err := c2.Get(t.Context(), "k"); err != nil {
			oneByOne += "x"
		} else {
			oneByOne += "."
		}
		_ = c2.Remove(t.Context(), "k") // other operations do not matter
	}
	return f.Injected(FailBefore), oneByOne
}

func TestSeedDecidesTheFaults(t *testing.T) {
	const n = 400
	count, fate := fates(t, 7, n)
	countAgain, fateAgain := fates(t, 7, n)
	if fate != fateAgain || count != countAgain {
		t.Error("the same seed brought other faults")
	}
	if _, other := fates(t, 8, n); other == fate {
		t.Error("another seed brought the same faults")
	}
	if count < n/5 || count > n*2/5 {
		t.Errorf("%d of %d calls failed with a probability of 0.3", count, n)
	}
}

func TestDelayEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, m := faulty(Fault{Kind: DelayBefore, Delay: time.Minute, Ops: []string{"set"}})
		start := time.Now()
		if err := set(t.Context(), c, "slow", "v"); err != nil || time.Since(start) != time.Minute {
			t.Errorf("Set = %v after %v, want no error after a minute", err, time.Since(start))
		}
		has(t, m, "slow", "v")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := set(ctx, c, "k", "v"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Set = %v, want DeadlineExceeded", err)
		}
		if passed := time.Since(start); passed != time.Minute+time.Second {
			t.Errorf("the second Set returned after %v, want a second", passed-time.Minute)
		}
		hasNot(t, m, "k")
	})
}

func TestGateHoldsBeforeAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before, after := NewGate(), NewGate()
		_, c, m := faulty(Fault{Kind: HoldBefore, Ops: []string{"set"}, Gate: before}, Fault{Kind: HoldAfter, Ops: []string{"set"}, Gate: after})
		done := make(chan error, 1)
		go func() { done <- set(t.Context(), c, "k", "v") }()
		if err := before.Wait(t.Context(), 1); err != nil || before.Held() != 1 {
			t.Fatalf("Wait = %v with %d held, want one", err, before.Held())
		}
		hasNot(t, m, "k")
		before.Open()
		before.Open()
		if err := after.Wait(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		has(t, m, "k", "v")
		select {
		case <-done:
			t.Error("Set returned through a closed gate")
		default:
		}
		after.Open()
		if err := <-done; err != nil || before.Held() != 0 {
			t.Errorf("Set = %v, %d held, want no error and none", err, before.Held())
		}
	})
}

func TestGateEndsWithTheContext(t *testing.T) {
	g := NewGate()
	_, c, m := faulty(Fault{Kind: HoldBefore, Gate: g})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- set(ctx, c, "k", "v") }()
	if err := g.Wait(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Set = %v, want Canceled", err)
	}
	if err := g.Wait(ctx, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v, want Canceled", err)
	}
	hasNot(t, m, "k")
}

func TestSenselessFaultsPanic(t *testing.T) {
	for _, f := range []Fault{
		{}, {Kind: 99}, {Kind: FailBefore, Probability: 1.5}, {Kind: FailBefore, Probability: -1},
		{Kind: HoldBefore}, {Kind: HoldAfter}, {Kind: FailBefore, Ops: []string{"Get"}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("NewFaults took %+v", f)
				}
			}()
			faulty(f)
		}()
	}
}

// Whatever the cache does, a loader's result reaches its callers.
func TestLoadsSurviveFaults(t *testing.T) {
	for _, kind := range []FaultKind{FailBefore, FailAfter, LoseWrite} {
		for seed := range uint64(20) {
			m := NewModel(cache.EntryOptions{})
			_, c := NewFaults(m, seed, Fault{Kind: kind, Probability: 0.5})
			typed := cache.NewTyped[int](c, nil)
			for i := range 10 {
				got, err := typed.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (int, error) { return 7, nil })
				if got != 7 || err != nil {
					t.Fatalf("kind %d, seed %d, call %d: %d, %v, want 7", kind, seed, i, got, err)
				}
			}
			if err := m.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
