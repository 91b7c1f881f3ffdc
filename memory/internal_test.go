package memory

import (
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

func TestLeasesAreBounded(t *testing.T) {
	l := newLeases()
	granted := 0
	for i := range 2 * leaseShards * leasesInShard {
		switch reply := l.grant(strconv.Itoa(i), 0, 100); reply.State {
		case cache.LeaseGranted:
			granted++
		case cache.LeaseRefused:
		default:
			t.Fatalf("got %+v", reply)
		}
	}
	if granted != leaseShards*leasesInShard {
		t.Errorf("granted %d, want %d", granted, leaseShards*leasesInShard)
	}
	// When they have run out there is room again.
	if reply := l.grant("another", 100, 200); reply.State != cache.LeaseGranted {
		t.Errorf("got %+v", reply)
	}
	l.sweep(100)
	if held := l.held(); held != 1 {
		t.Errorf("%d held after the sweep, want 1", held)
	}
	if next := l.next(); next != 200 {
		t.Errorf("the next runs out at %d, want 200", next)
	}
	l.voidAll()
	if held := l.held(); held != 0 {
		t.Errorf("%d held, want none", held)
	}
}

func (l *leases) held() (n int64) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		if int64(len(s.leases)) != s.held.Load() {
			panic("the count of leases is off")
		}
		locks := 0
		for _, r := range s.leases {
			if r.kind != isLease {
				locks++
			}
		}
		if locks != s.kept {
			panic("the count of locks is off")
		}
		n += s.held.Load()
		s.mu.Unlock()
	}
	return n
}

// A caller that crashed between Lease and its fill leaves nothing behind.
func TestAbandonedLeasesAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		time.Sleep(time.Hour) // no timer is set
		for i := range 1000 {
			if _, err := c.Lease(t.Context(), strconv.Itoa(i), 10*time.Second); err != nil {
				t.Fatal(err)
			}
		}
		if held := c.leases.held(); held != 1000 {
			t.Errorf("%d held, want 1000", held)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if held := c.leases.held(); held != 0 {
			t.Errorf("%d held, want none", held)
		}
	})
}

func TestAReadThatComesTooLateDoesNotSaveAnEntry(t *testing.T) {
	n := (&draft{life: cache.Lifetime{Sliding: 10}}).node("k", 0)
	if end(n, 9) {
		t.Error("ended before its deadline")
	}
	seen := n.Deadline()
	if !end(n, 10) {
		t.Error("not ended at its deadline")
	}
	if n.MoveDeadline(seen, 19) || n.Slide(9, 10, never) || !expired(n, 10) {
		t.Error("came back")
	}
}

// Callbacks that take long hold up writers; the queue of what is to be reported
// does not grow without end.
func TestSlowCallbacksHoldUpWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers, each = 50, 100
		release := make(chan struct{})
		var calls atomic.Int64
		c, err := New(&Options{OnEvict: func(Eviction) {
			<-release
			calls.Add(1)
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		for w := range writers {
			go func() {
				for range each {
					if err := c.Set(t.Context(), strconv.Itoa(w), []byte("v"), cache.EntryOptions{}); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		synctest.Wait()
		if n := c.notices.pending.Load(); n > longQueue+writers {
			t.Errorf("%d in the queue", n)
		}
		close(release)
		synctest.Wait()
		if n := calls.Load(); n != writers*(each-1) {
			t.Errorf("%d calls, want %d", n, writers*(each-1))
		}
	})
}

// Entries that slide for ever share their window with others of the same regions,
// and nobody else's.
func TestSlidingEntriesShareTheirWindow(t *testing.T) {
	c, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	put := func(key string, window, ttl time.Duration, tokens ...cache.Token) *side {
		t.Helper()
		opts := cache.EntryOptions{SlidingExpiration: window, TTL: ttl, Tokens: tokens}
		if err := c.SetObject(t.Context(), key, key, opts); err != nil {
			t.Fatal(err)
		}
		return c.engine.Peek(key).Value.side.Load()
	}
	region := cache.RegionToken("r")
	one := put("1", time.Hour, 0, region)
	if put("2", time.Hour, 0, region) != one {
		t.Error("two entries alike do not share")
	}
	other, limited, bare := put("3", time.Minute, 0, region), put("4", time.Hour, 2*time.Hour, region), put("5", time.Hour, 0)
	if other == one || other.window != int64(time.Minute) || limited == one || limited.absolute == never || bare == one || bare.stamp != nil {
		t.Errorf("got %+v, %+v and %+v", other, limited, bare)
	}
	if err := c.ExpireTokens(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	if _, found, err := c.GetObject(t.Context(), "2"); found || err != nil {
		t.Errorf("an expired region: got %t, %v", found, err)
	}
	if _, found, err := c.GetObject(t.Context(), "5"); !found || err != nil {
		t.Errorf("no region: got %t, %v", found, err)
	}
}

// A read that found what has expired may be slow to remove it: what was stored
// meanwhile stays.
func TestASlowReclaimLeavesWhatWasStoredMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close(t.Context()) }()
		if err := c.SetObject(t.Context(), "k", 1, cache.EntryOptions{TTL: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		found := c.engine.Find("k")
		time.Sleep(time.Millisecond)
		if err := c.SetObject(t.Context(), "k", 2, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		c.reclaim(found)
		if v, ok, err := c.GetObject(t.Context(), "k"); v != 2 || !ok || err != nil {
			t.Errorf("got %v, %t, %v, want what was stored last", v, ok, err)
		}
	})
}

// A lease may run out between the look at it and the fill.
func TestALeaseThatRanOutIsNotSpent(t *testing.T) {
	l := newLeases()
	for _, now := range []int64{10, 11} {
		if r := l.grant("k", 0, 10); l.spend("k", r.Lease, now) {
			t.Errorf("at %d: got a lease spent that ran out at 10", now)
		}
	}
	if r := l.grant("k", 0, 10); !l.spend("k", r.Lease, 9) {
		t.Error("got a lease refused that stands")
	}
}
