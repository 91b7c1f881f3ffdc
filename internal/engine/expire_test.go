package engine

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
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
		mustSet(t, e, expiring(e, "a", time.Minute)) // later than what comes after
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

func TestAnExpiredEntryIsAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", time.Millisecond))
		wantValue(t, e, "a", 0)
		time.Sleep(time.Millisecond)
		_, found := e.Get("a")
		_, other := e.Get("b")
		if hits, misses := e.Reads(); found || other || hits != 1 || misses != 2 {
			t.Errorf("got %t and %t, %d hits and %d misses, want 1 and 2", found, other, hits, misses)
		}
	})
}

// Entries of all buckets of the wheel, stored at all times of theirs.
func TestEachOfManyEntriesIsReclaimedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		deadlines, early, late := make(map[string]int64), 0, 0
		var e *Engine[int]
		e = New(Options[int]{Gone: func(n *Node[int], _ Cause) {
			mu.Lock()
			defer mu.Unlock()
			switch past := time.Duration(e.Now() - deadlines[n.Key()]); {
			case past < 0:
				early++
			case past > 2200*time.Millisecond:
				late++
			}
			delete(deadlines, n.Key())
		}})
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 5000 {
			ttl := time.Duration(1+r.Int64N(int64(3*time.Second))) << r.IntN(16)
			n := expiring(e, strconv.Itoa(i), ttl)
			mu.Lock()
			deadlines[n.Key()] = n.Deadline()
			mu.Unlock()
			mustSet(t, e, n)
			if i%4 == 0 {
				time.Sleep(time.Duration(r.Int64N(int64(500 * time.Millisecond))))
			}
		}
		time.Sleep(3 * time.Second << 16)
		synctest.Wait()
		if early > 0 || late > 0 || len(deadlines) > 0 {
			t.Errorf("got %d too early, %d too late and %d never, want none", early, late, len(deadlines))
		}
		runtime.KeepAlive(e)
	})
}

// Few entries set few timers: each must fire for the entry after, too.
func TestEachOfFewEntriesIsReclaimedInTime(t *testing.T) {
	const step = 300 * time.Millisecond
	for first := step; first < 3*time.Second; first += step {
		for between := step; between < 5*time.Minute; between += between/2 + step {
			synctest.Test(t, func(t *testing.T) {
				e := New(Options[int]{})
				mustSet(t, e, expiring(e, "a", first))
				mustSet(t, e, expiring(e, "b", first+between))
				for _, key := range []string{"a", "b"} {
					time.Sleep(time.Duration(e.Peek(key).Deadline()-e.Now()) + 2200*time.Millisecond)
					synctest.Wait()
					if e.Peek(key) != nil {
						t.Errorf("got %s, of %v and %v later, two seconds after its deadline", key, first, between)
					}
					if e.Peek("b") == nil {
						return
					}
				}
			})
		}
	}
}

// While others are read the cached time is there, and tells that the deadline has to
// be moved.
func TestASlidingEntryLivesWhileOthersAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 16 * time.Minute
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", window))
		mustSet(t, e, expiring(e, "other", 24*time.Hour))
		for range 30 {
			time.Sleep(window / 2)
			wantValue(t, e, "other", 0)
			if n := e.Find("a"); n == nil || !e.Slide(n, int64(window), Never) {
				t.Fatal("got nothing, want an entry that was read within its window")
			}
		}
	})
}

// An entry that has expired is the first to make room, however often it was used, and
// has expired whatever takes it away.
func TestWhatHasExpiredMakesRoomFirst(t *testing.T) {
	for _, expires := range []string{"main", "window"} {
		synctest.Test(t, func(t *testing.T) {
			causes := make(map[string]Cause)
			e := New(Options[int]{Limits: Limits{Entries: 2}, Gone: func(n *Node[int], c Cause) { causes[n.Key()] = c }})
			for _, key := range []string{"main", "window"} { // the first is pushed out of the window
				n := node(key, 0)
				if key == expires {
					n = expiring(e, key, time.Millisecond)
				}
				mustSet(t, e, n)
			}
			for range 10 {
				e.Find(expires)
			}
			time.Sleep(2 * clockPeriod) // and not yet time to reclaim it
			mustSet(t, e, node("new", 0))
			if cause, ok := causes[expires]; !ok || cause != Expired || len(causes) != 1 {
				t.Errorf("%s: got %v, want it expired", expires, causes)
			}
		})
	}
}

// A timer that is late, as that of a process which was stopped, leaves the cached time
// as it was: some hits later it is read all the same.
func TestHitsRefreshAClockWhoseTimerIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{})
		mustSet(t, e, expiring(e, "a", time.Minute))
		e.clock.refresh()
		e.clock.timer.Stop()
		e.policy.timer.Stop()
		time.Sleep(time.Hour)
		served := 0
		for _, ok := e.Get("a"); ok && served <= refreshEach; _, ok = e.Get("a") {
			served++
		}
		if served == 0 || served > refreshEach {
			t.Errorf("got %d hits of what has expired, want some and at most %d", served, refreshEach)
		}
	})
}
