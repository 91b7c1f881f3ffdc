package memory_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestOnEvictIsToldTheCause(t *testing.T) {
	synctest.Test(t, testOnEvictIsToldTheCause)
}

func testOnEvictIsToldTheCause(t *testing.T) {
	left := &evictions{}
	c := open(t, &memory.Options{MaxEntries: 2, OnEvict: left.add})
	next := func() string {
		t.Helper()
		synctest.Wait() // a timer may be at it
		all := left.list()
		left.all = nil
		var b strings.Builder
		for _, e := range all {
			if raw, ok := e.Value.([]byte); ok {
				e.Value = string(raw)
			}
			fmt.Fprintf(&b, "%s=%v %s;", e.Key, e.Value, e.Cause)
		}
		return b.String()
	}
	set(t, c, "a", "1", cache.EntryOptions{})
	if got := next(); got != "" {
		t.Errorf("new: got %s", got)
	}
	if err := c.SetObject(ctx, "a", 2, cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "a=1 replaced;" {
		t.Errorf("Set: got %s", got)
	}
	if err := c.Remove(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "a=2 removed;" {
		t.Errorf("Remove: got %s", got)
	}
	for range 2 {
		if _, err := c.Increment(ctx, "n", 4, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := next(); got != "" {
		t.Errorf("Increment: got %s", got)
	}
	if err := c.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if got := next(); got != "n=8 removed;" {
		t.Errorf("Clear: got %s", got)
	}
	for i := range 3 {
		set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
	}
	if got := next(); strings.Count(got, "v capacity;") != 1 {
		t.Errorf("capacity: got %s", got)
	}
}

func TestOnEvictDoesNotSeeTheCachesOwnBytes(t *testing.T) {
	c := open(t, &memory.Options{OnEvict: func(e memory.Eviction) { e.Value.([]byte)[0] = 'X' }})
	set(t, c, "k", "value", cache.EntryOptions{})
	var wg sync.WaitGroup
	for range 4 { // the race detector would see a reader and the callback meet
		wg.Go(func() {
			for range 1000 {
				if got, found, _ := c.Get(ctx, "k"); found && string(got) != "value" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	for range 1000 {
		set(t, c, "k", "value", cache.EntryOptions{})
	}
	wg.Wait()
}

func TestOnEvictMayUseTheCache(t *testing.T) {
	for _, cause := range []memory.Cause{memory.CauseRemoved, memory.CauseReplaced, memory.CauseExpired, memory.CauseCapacity} {
		t.Run(cause.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *memory.Cache
				var once atomic.Bool
				c = open(t, &memory.Options{MaxEntries: 3, OnEvict: func(e memory.Eviction) {
					if e.Cause != cause || !once.CompareAndSwap(false, true) {
						return
					}
					set(t, c, e.Key, "from the callback", cache.EntryOptions{})
					wantValue(t, c, e.Key, "from the callback")
					if err := c.Remove(ctx, e.Key); err != nil {
						t.Error(err)
					}
					set(t, c, e.Key, "again", cache.EntryOptions{})
				}})
				set(t, c, "k", "v", cache.EntryOptions{TTL: time.Second})
				switch cause {
				case memory.CauseRemoved:
					if err := c.Remove(ctx, "k"); err != nil {
						t.Fatal(err)
					}
				case memory.CauseReplaced:
					set(t, c, "k", "w", cache.EntryOptions{})
				case memory.CauseExpired:
					time.Sleep(4 * time.Second)
				case memory.CauseCapacity:
					for i := range 4 {
						set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
					}
				}
				synctest.Wait()
				if !once.Load() {
					t.Fatal("no callback")
				}
				if cause != memory.CauseCapacity {
					wantValue(t, c, "k", "again")
				}
			})
		})
	}
}

// Each call makes another eviction, which is reported in turn. If each were
// reported by the call that caused it, the stack would grow without end.
func TestOnEvictMayCauseFurtherEvictions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const enough = 20_000
		var c *memory.Cache
		var mu sync.Mutex
		calls, depth, deepest := 0, 0, 0
		c = open(t, &memory.Options{MaxEntries: 1, OnEvict: func(e memory.Eviction) {
			mu.Lock()
			calls++
			depth++
			deepest = max(deepest, depth)
			key, more := strconv.Itoa(calls), calls < enough
			mu.Unlock()
			if more {
				set(t, c, key, "v", cache.EntryOptions{})
			}
			mu.Lock()
			depth--
			mu.Unlock()
		}})
		set(t, c, "a", "v", cache.EntryOptions{})
		set(t, c, "b", "v", cache.EntryOptions{})
		synctest.Wait()
		if calls < enough || deepest > 16 {
			t.Errorf("%d calls, up to %d within each other", calls, deepest)
		}
	})
}

func TestAPanicInOnEvictIsReportedAndGoesNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &events{}
		var calls atomic.Int64
		c := open(t, &memory.Options{Observer: seen, OnEvict: func(memory.Eviction) {
			calls.Add(1)
			panic(errors.New("secret"))
		}})
		for range 3 {
			set(t, c, "k", "v", cache.EntryOptions{})
		}
		synctest.Wait()
		if n := seen.count(cache.EventCallbackPanic); n != 2 || calls.Load() != 2 {
			t.Errorf("%d panics observed of %d, want 2", n, calls.Load())
		}
		for _, e := range seen.all {
			if e.Kind == cache.EventCallbackPanic && (e.Err == nil || strings.Contains(e.Err.Error(), "secret") || e.Layer != "memory") {
				t.Errorf("got %+v", e)
			}
		}
	})
}

func TestEvictionsAreObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &events{}
		c := open(t, &memory.Options{MaxEntries: 10, Observer: seen})
		for i := range 30 {
			set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{})
		}
		synctest.Wait()
		if n := seen.count(cache.EventEviction); n != 20 {
			t.Errorf("%d evictions observed, want 20", n)
		}
		for _, e := range seen.all {
			if e.Kind == cache.EventEviction && (e.Detail != "capacity" || e.Layer != "memory") {
				t.Errorf("got %+v", e)
			}
		}
	})
}

// Every entry that was stored is either still there or was reported once, and
// the weights add up.
func TestEveryEntryLeavesOnce(t *testing.T) {
	synctest.Test(t, testEveryEntryLeavesOnce)
}

func testEveryEntryLeavesOnce(t *testing.T) {
	const writers, rounds = 16, 1500
	var mu sync.Mutex
	left := map[any]int{}
	c := open(t, &memory.Options{MaxEntries: 50, OnEvict: func(e memory.Eviction) {
		mu.Lock()
		defer mu.Unlock()
		left[e.Value]++
	}})
	var ids atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				key := strconv.Itoa(rand.IntN(100))
				opts := cache.EntryOptions{TTL: time.Duration(1+rand.IntN(3)) * time.Millisecond}
				switch rand.IntN(10) {
				case 0:
					_ = c.Remove(ctx, key)
				case 1:
					_, _, _ = c.GetObject(ctx, key)
				case 2:
					opts = cache.EntryOptions{SlidingExpiration: time.Millisecond}
				case 3:
					if rand.IntN(50) == 0 {
						_ = c.Clear(ctx)
					}
				case 4:
					opts = cache.EntryOptions{TTL: time.Hour}
				}
				if err := c.SetObject(ctx, key, ids.Add(1), opts); err != nil {
					t.Error(err)
				}
				if rand.IntN(100) == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	if n := c.Len(); n != 0 {
		t.Errorf("%d entries left", n)
	}
	mu.Lock()
	defer mu.Unlock()
	for id := int64(1); id <= ids.Load(); id++ {
		if left[id] != 1 {
			t.Fatalf("entry %d left %d times", id, left[id])
		}
	}
	s := c.Stats()
	if s.Bytes != 0 || s.Sets != uint64(ids.Load()) {
		t.Errorf("got %+v", s)
	}
}
