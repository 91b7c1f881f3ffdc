package engine

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"
)

func expiring(e *Engine[int], key string, in time.Duration) *Node[int] {
	return NewNode(key, 0, 1, e.Now()+int64(in), false)
}

func TestAnEntryIsGoneAtItsDeadline(t *testing.T) {
	for _, ttl := range []time.Duration{time.Nanosecond, time.Millisecond, 999 * time.Millisecond, time.Second, time.Minute, 240 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			e := New(Options[int]{})
			mustSet(t, e, expiring(e, "a", ttl))
			wantValue(t, e, "a", 0)
			time.Sleep(ttl - 1)
			wantValue(t, e, "a", 0)
			time.Sleep(time.Nanosecond)
			if _, ok := e.Get("a"); ok {
				t.Errorf("TTL %v: got a hit at the deadline, want a miss", ttl)
			}
		})
	}
}

func TestExpiredEntriesAreReclaimedWithoutACall(t *testing.T) {
	for _, ttl := range []time.Duration{time.Millisecond, 3 * time.Second, 70 * time.Second, 2 * time.Hour, 100 * time.Hour, 9 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var gone, tidied atomic.Int64
			e := New(Options[int]{
				Gone: func(_ *Node[int], c Cause) {
					if c != Expired {
						t.Errorf("TTL %v: got cause %v, want Expired", ttl, c)
					}
					gone.Add(1)
				},
				Tidied: func() { tidied.Add(1) },
			})
			for i := range 1000 {
				mustSet(t, e, expiring(e, fmt.Sprint(i), ttl))
			}
			mustSet(t, e, node("stays", 1))
			time.Sleep(ttl - 1)
			synctest.Wait()
			if n := gone.Load(); n != 0 {
				t.Errorf("TTL %v: got %d reclaimed before the deadline, want none", ttl, n)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n := gone.Load(); n != 1000 || tidied.Load() == 0 {
				t.Errorf("TTL %v: got %d reclaimed two seconds later, want 1000", ttl, n)
			}
			wantValue(t, e, "stays", 1)
		})
	}
}

func TestAReplacedEntryExpiresAtItsNewDeadline(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second time.Duration
	}{
		{"earlier", time.Hour, time.Minute},
		{"later", time.Minute, time.Hour},
		{"after none", 0, time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := New(Options[int]{})
			if tc.first == 0 {
				mustSet(t, e, node("a", 0))
			} else {
				mustSet(t, e, expiring(e, "a", tc.first))
			}
			mustSet(t, e, expiring(e, "a", tc.second))
			time.Sleep(tc.second - 1)
			synctest.Wait()
			wantValue(t, e, "a", 0)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			wantNone(t, e, "a")
		})
	}
}

func TestASlidingEntryLivesWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 16 * time.Minute
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", window))
		limit := e.Now() + int64(100*window)
		for range 30 {
			time.Sleep(window - window/slideParts - time.Second)
			if n := e.Find("a"); n == nil || !e.Slide(n, int64(window), limit) {
				t.Fatal("got nothing, want an entry that was read within its window")
			}
		}
		writes, last := 0, int64(0)
		for range 1000 {
			time.Sleep(window / 1000)
			n := e.Find("a")
			e.Slide(n, int64(window), limit)
			if d := n.Deadline(); d != last {
				writes, last = writes+1, d
			}
		}
		if writes > 18 {
			t.Errorf("got the deadline moved %d times in a window, want 16 or so", writes)
		}
		time.Sleep(window + time.Second*2)
		synctest.Wait()
		wantNone(t, e, "a")
	})
}

func TestASlidingDeadlineStopsAtItsLimit(t *testing.T) {
	n := NewNode("a", 0, 1, 100, false)
	if !n.Slide(50, 1000, 300) || n.Deadline() != 300 {
		t.Errorf("got deadline %d, want the limit", n.Deadline())
	}
	if n.Slide(300, 1000, 2000) || n.Deadline() != 300 {
		t.Error("got a window restarted at the deadline")
	}
}

func TestWhoeverKeepsAnEntryKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := int64(time.Hour)
		e := New(Options[int]{Keep: func(*Node[int], int64) int64 { return until }})
		mustSet(t, e, expiring(e, "a", time.Minute))
		time.Sleep(time.Hour - 1)
		synctest.Wait()
		if n := e.Find("a"); n == nil || e.Live(n) || e.Reclaim(n) {
			t.Error("want an expired entry that is kept")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantNone(t, e, "a")
	})
}

// The wheel learns it when an entry is let go earlier than Keep has said, by a
// change that leaves it alone or replaces it.
func TestAKeptEntryMayBeLetGoEarlier(t *testing.T) {
	for _, replace := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var until atomic.Int64
			e := New(Options[int]{Keep: func(*Node[int], int64) int64 { return until.Load() }})
			until.Store(int64(time.Hour))
			mustSet(t, e, expiring(e, "a", time.Second))
			time.Sleep(10 * time.Second)
			if e.Find("a") == nil {
				t.Fatal("the entry was not kept")
			}
			until.Store(0)
			if err := e.Compute("a", 1, func(old *Node[int]) *Node[int] {
				if replace {
					return expiring(e, "a", time.Second)
				}
				return old
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Second)
			synctest.Wait()
			wantNone(t, e, "a")
			if err := e.verify(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReclaimTakesOnlyWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		n := expiring(e, "a", time.Second)
		mustSet(t, e, n)
		if e.Reclaim(n) {
			t.Error("got a live entry reclaimed")
		}
		time.Sleep(time.Second)
		if !e.Reclaim(n) || e.Reclaim(n) {
			t.Error("want an expired entry reclaimed once")
		}
		wantNone(t, e, "a")
	})
}

// A reader may hold a node that has expired and was removed since it was found.
func TestAReclaimedNodeIsNotLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", time.Second))
		n := e.Find("a")
		if !e.Live(n) {
			t.Error("got a live node taken for expired")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantNone(t, e, "a")
		for range 2 { // with and without a cached time
			if e.Live(n) || e.Slide(n, int64(time.Hour), Never) || n.Slide(0, int64(time.Hour), Never) || !n.Dead() {
				t.Error("got a reclaimed node taken for live")
			}
			e.clock.refresh()
		}
	})
}

func TestADeadlineThatComputeSetsIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", time.Hour))
		if err := e.Compute("a", Nothing, func(old *Node[int]) *Node[int] {
			old.SetDeadline(e.Now() + int64(time.Second))
			return old
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantNone(t, e, "a")
	})
}

func TestClosedItReclaimsNothingByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", time.Second))
		e.Close()
		e.Close()
		mustSet(t, e, expiring(e, "b", time.Second))
		time.Sleep(time.Hour)
		synctest.Wait()
		if e.Find("a") == nil || e.Find("b") == nil {
			t.Error("got something reclaimed after Close")
		}
		e.Tidy()
		wantNone(t, e, "a")
		wantNone(t, e, "b")
	})
}

// The bubble must end without Close: timers that wait are no goroutines.
func TestABubbleEndsWithoutClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", time.Hour))
		wantValue(t, e, "a", 0)
	})
}

func TestAnEngineThatNobodyRefersToIsCollected(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 100}})
	for i := range 200 {
		mustSet(t, e, expiring(e, fmt.Sprint(i), time.Hour))
	}
	wantValue(t, e, "199", 0)
	ref, held := weak.Make(e), weak.Make(e.Find("199"))
	runtime.KeepAlive(e)
	e = nil
	for range 100 {
		if ref.Value() == nil && held.Value() == nil {
			return
		}
		runtime.GC()
	}
	t.Error("got an engine in memory that nobody refers to")
}
