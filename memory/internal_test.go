package memory

import (
	"math"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

func TestLimitsNeverLetMoreIn(t *testing.T) {
	for _, entries := range []int{0, 1, 2, 3, 7, 100, 8193, 1 << 20, math.MaxInt32, math.MaxInt} {
		for _, bytes := range []int64{0, 1, 3, 1000, 64 << 20, math.MaxUint32, 1 << 33, 1 << 40, math.MaxInt64} {
			l := newLimits(entries, bytes)
			if l.capacity < 1 {
				t.Errorf("%d, %d: capacity %d", entries, bytes, l.capacity)
			}
			if bytes == 0 {
				bytes = DefaultMaxBytes
			}
			for _, weight := range []int64{1, 2, 256, bytes/3 + 1, bytes / 2, bytes} {
				if weight > bytes || weight < 1 {
					continue
				}
				charge := l.charge(weight)
				if charge < 1 || charge > math.MaxInt32 && l.bytes > 0 {
					t.Errorf("%d, %d: weight %d is charged %d", entries, bytes, weight, charge)
				}
				fit := l.capacity / charge
				if entries > 0 && fit > int64(entries) && entries < math.MaxInt32 {
					t.Errorf("%d, %d: %d entries of weight %d fit", entries, bytes, fit, weight)
				}
				if l.bytes > 0 && fit > l.bytes/weight {
					t.Errorf("%d, %d: %d entries of weight %d fit", entries, bytes, fit, weight)
				}
			}
			if entries > 0 && entries < 1<<20 && bytes >= int64(entries) && l.capacity/l.charge(1) != int64(entries) {
				t.Errorf("%d, %d: %d small entries fit", entries, bytes, l.capacity/l.charge(1))
			}
		}
	}
}

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
		time.Sleep(time.Hour) // the janitor rests
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
	e := newEntry("k", kindBytes, 0, cache.Lifetime{Sliding: 10}, false)
	if e.end(9) {
		t.Error("ended before its deadline")
	}
	seen := e.deadline.Load()
	if !e.end(10) {
		t.Error("not ended at its deadline")
	}
	if e.deadline.CompareAndSwap(seen, 19) || !e.expired(10) {
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

// The engine must not reclaim an entry before its deadline.
func TestReclaimIsNeverBeforeTheDeadline(t *testing.T) {
	for _, life := range []cache.Lifetime{
		{}, {TTL: 1}, {TTL: cache.MaxTTL}, {Sliding: 1}, {Sliding: cache.MaxTTL},
		{Sliding: time.Second, TTL: 1500 * time.Millisecond}, {Sliding: time.Hour, TTL: time.Second},
	} {
		for _, now := range []int64{0, 1, 1 << 60} {
			e := newEntry("k", kindBytes, now, life, false)
			if e.reclaim.Load() < e.deadline.Load() || e.deadline.Load() <= now || e.deadline.Load() > e.absolute {
				t.Errorf("%+v at %d: deadline %d, reclaimed at %d", life, now, e.deadline.Load(), e.reclaim.Load())
			}
		}
	}
}
