package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// A read that starts after a write returned sees it, also while others are
// evicted.
func TestReadsSeeWhatWasWrittenBefore(t *testing.T) {
	c := open(t, &memory.Options{MaxEntries: 64})
	const keys, rounds = 8, 20_000
	var floors [keys]atomic.Int64
	var done atomic.Bool
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; !done.Load(); i++ {
				k := i % keys
				floor := floors[k].Load()
				value, found, err := c.GetObject(ctx, fmt.Sprint("hot", k))
				if err != nil || found && value.(int64) < floor {
					t.Errorf("got %v, %v, want at least %d", value, err, floor)
					return
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for n := int64(1); n <= rounds; n++ {
				k := int(n)%(keys/2)*2 + w // each key has one writer
				key := fmt.Sprint("hot", k)
				write := c.Remove(ctx, key)
				if n%3 != 0 {
					write = c.SetObject(ctx, key, n, cache.EntryOptions{})
				}
				if write != nil {
					t.Error(write)
				}
				floors[k].Store(n)
				if n%16 == 0 { // push others out
					if err := c.SetObject(ctx, fmt.Sprint("cold", n), n, cache.EntryOptions{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

func TestHotEntriesAreNotEvictedForColdOnes(t *testing.T) {
	c := open(t, &memory.Options{MaxEntries: 200})
	read := func() (misses int) {
		for i := range 20 {
			key := fmt.Sprint("hot", i)
			if _, found, _ := c.GetObject(ctx, key); !found {
				misses++
				if err := c.SetObject(ctx, key, key, cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
			}
		}
		return misses
	}
	for range 100 {
		read()
	}
	misses := 0
	for i := range 5000 {
		if err := c.SetObject(ctx, fmt.Sprint("cold", i), i, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		misses += read()
	}
	if misses > 100 {
		t.Errorf("hot entries were missed %d times in 100,000 reads", misses)
	}
}

// Nobody has to close a cache: when nobody refers to it, it goes, whatever its
// timers wait for.
func TestACacheThatIsDroppedIsCollected(t *testing.T) {
	var collected atomic.Int64
	const caches = 8
	for range caches {
		c, err := memory.New(&memory.Options{OnEvict: func(memory.Eviction) {}})
		if err != nil {
			t.Fatal(err)
		}
		runtime.AddCleanup(c, func(n *atomic.Int64) { n.Add(1) }, &collected)
		for i := range 100 {
			set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{TTL: time.Duration(1+i) * time.Second})
			wantValue(t, c, strconv.Itoa(i), "v")
		}
		if _, err := c.Lease(ctx, "lease", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); collected.Load() < caches && time.Now().Before(deadline); {
		runtime.GC()
		runtime.Gosched()
	}
	if n := collected.Load(); n != caches {
		t.Errorf("%d of %d caches were collected", n, caches)
	}
}

// A bubble ends although nobody closes the cache, and timers are set.
func TestABubbleEndsWithoutClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			set(t, c, strconv.Itoa(i), "v", cache.EntryOptions{TTL: time.Duration(1+i) * time.Minute})
			wantValue(t, c, strconv.Itoa(i), "v")
			if _, err := c.BeginWrite(ctx, fmt.Sprint("marked", i), time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30*time.Minute + 2*time.Second)
		synctest.Wait()
		if n := c.Len(); n != 70 {
			t.Errorf("%d entries after half an hour, want 70", n)
		}
	})
}

// The lock keeps an entry beyond its deadline; when it ends, by itself or by
// Unlock, the entry goes, and its memory with it.
func TestALockedEntryIsReclaimedWhenItsLockEnds(t *testing.T) {
	for _, tc := range []struct {
		name   string
		unlock func(c *memory.Cache, handle cache.LockHandle) error // at 20 s
		gone   time.Duration
	}{
		{"the lock runs out", func(*memory.Cache, cache.LockHandle) error { return nil }, time.Hour},
		{"Unlock", func(c *memory.Cache, h cache.LockHandle) error { return c.Unlock(ctx, "k", h, 0) }, 20 * time.Second},
		{"Unlock with a TTL", func(c *memory.Cache, h cache.LockHandle) error { return c.Unlock(ctx, "k", h, 5*time.Second) }, 25 * time.Second},
		{"ResetTTL, then Unlock", func(c *memory.Cache, h cache.LockHandle) error {
			if err := c.ResetTTL(ctx, "k", 10*time.Second); err != nil {
				return err
			}
			return c.Unlock(ctx, "k", h, 0)
		}, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t, nil)
				start := time.Now()
				set(t, c, "k", "v", cache.EntryOptions{TTL: 10 * time.Second})
				_, handle, err := c.GetAndLock(ctx, "k", time.Hour, cache.LockOptions{})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Second)
				wantValue(t, c, "k", "v")
				if err := tc.unlock(c, handle); err != nil {
					t.Fatal(err)
				}
				if tc.gone > 20*time.Second {
					time.Sleep(time.Until(start.Add(tc.gone - 1)))
					wantValue(t, c, "k", "v")
				}
				time.Sleep(time.Until(start.Add(tc.gone + 2200*time.Millisecond)))
				synctest.Wait()
				if s := c.Stats(); s.Entries != 0 || s.Expirations != 1 {
					t.Errorf("got %+v, want one expiration and nothing left", s)
				}
			})
		})
	}
}

// A read of a locked entry whose deadline has passed restarts its window, and the
// entry outlives the lock by it, no longer.
func TestASlidingWindowOutlivesTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		set(t, c, "k", "v", cache.EntryOptions{SlidingExpiration: 10 * time.Second})
		if _, _, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(55 * time.Second)
		wantValue(t, c, "k", "v")
		time.Sleep(10*time.Second - 1) // the lock ended, the window has not
		if n := c.Len(); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
		time.Sleep(2200 * time.Millisecond)
		synctest.Wait()
		if n := c.Len(); n != 0 {
			t.Errorf("%d entries left, want none", n)
		}
	})
}

// Where pinned entries leave no room a normal one is stored and evicted in one
// step: what it replaces is gone, and everybody is told.
func TestNoRoomBesidePinnedEntries(t *testing.T) {
	left := &evictions{}
	c := open(t, &memory.Options{MaxBytes: 1000, OnEvict: left.add})
	set(t, c, "pinned", "v", cache.EntryOptions{Size: 900, Priority: cache.PriorityPinned})
	set(t, c, "k", "small", cache.EntryOptions{Size: 50})
	set(t, c, "k", "large", cache.EntryOptions{Size: 160})
	wantMiss(t, c, "k")
	wantValue(t, c, "pinned", "v")
	all := left.list()
	if len(all) != 2 || all[0].Cause+all[1].Cause != memory.CauseReplaced+memory.CauseCapacity {
		t.Errorf("got %+v, want one that was replaced and one evicted", all)
	}
	if s := c.Stats(); s.Sets != 3 || s.Entries != 1 || s.Bytes != 900 || s.Evictions != 1 || s.Removes != 0 {
		t.Errorf("got %+v", s)
	}
	lease, err := c.Lease(ctx, "filled", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, c.Set(ctx, "filled", []byte("v"), cache.EntryOptions{Size: 200, Priority: cache.PriorityPinned, Lease: lease.Lease}), cache.ErrValueTooLarge)
	again, err := c.Lease(ctx, "filled", time.Hour)
	if err != nil || again.State != cache.LeaseGranted {
		t.Errorf("got %+v, %v, want the lease that the refused fill has spent", again, err)
	}
}

// Callbacks of a timer are waited for by Close, until its context ends.
func TestCloseWaitsForATimersCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c, err := memory.New(&memory.Options{OnEvict: func(memory.Eviction) { <-release }})
		if err != nil {
			t.Fatal(err)
		}
		set(t, c, "k", "v", cache.EntryOptions{TTL: time.Second})
		time.Sleep(5 * time.Second)
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		wantError(t, c.Close(short), context.DeadlineExceeded)
		close(release)
		for range 2 {
			if err := c.Close(ctx); err != nil {
				t.Error(err)
			}
		}
	})
}

// A fill that is refused costs nobody else's entry.
func TestAFillThatLostItsLeaseEvictsNothing(t *testing.T) {
	c := open(t, &memory.Options{MaxEntries: 1})
	lease, err := c.Lease(ctx, "k", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	set(t, c, "other", "v", cache.EntryOptions{})
	wantError(t, c.Set(ctx, "k", []byte("v"), cache.EntryOptions{Lease: lease.Lease}), cache.ErrLeaseLost)
	wantValue(t, c, "other", "v")
}

func TestASlidingWindowIsMovedLazilyByReadsAndExactlyByRefresh(t *testing.T) {
	const window = 16 * time.Second
	read := func(c *memory.Cache) error { _, _, err := c.Get(ctx, "k"); return err }
	refresh := func(c *memory.Cache) error { return c.Refresh(ctx, "k") }
	for _, tc := range []struct {
		name string
		opts cache.EntryOptions
		do   func(*memory.Cache) error
		at   time.Duration
		ends time.Duration
	}{
		{"a read after a sixteenth of the window", cache.EntryOptions{}, read, window / 16, window},
		{"a read after more than that", cache.EntryOptions{}, read, window/16 + 1, window + window/16 + 1},
		{"Refresh", cache.EntryOptions{}, refresh, window / 16, window + window/16},
		{"a read that reaches the end of the TTL", cache.EntryOptions{TTL: window + time.Second/2}, read, window / 16, window + time.Second/2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t, nil)
				tc.opts.SlidingExpiration = window
				start := time.Now()
				set(t, c, "k", "v", tc.opts)
				time.Sleep(tc.at)
				if err := tc.do(c); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Until(start.Add(tc.ends - 1)))
				n := 0
				for range c.All() { // which moves nothing
					n++
				}
				if n != 1 {
					t.Errorf("gone a nanosecond before %v", tc.ends)
				}
				time.Sleep(time.Nanosecond)
				wantMiss(t, c, "k")
			})
		})
	}
}
