package memory

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/larder-go/larder/cache"
)

// Versions, locks and regions must not make entries heavier: a node is one cache
// line, which is a size class too.
func TestEntriesStayLight(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("sizes are those of 64 bits")
	}
	if size := unsafe.Sizeof(node{}); size != 64 {
		t.Errorf("a node takes %d bytes, want 64", size)
	}
}

// Forced locks push leases out, which cost fills only, but never each other.
func TestForcedLocksAreBounded(t *testing.T) {
	l := newLeases()
	for i := range 2 * leaseShards * leasesInShard {
		l.grant(strconv.Itoa(i), 0, 100)
	}
	handle, locked := cache.LockHandle{1}, 0
	for i := range 2 * leaseShards * leasesInShard {
		if l.lock("lock "+strconv.Itoa(i), handle, 0, 200) {
			locked++
		}
	}
	if locked != leaseShards*keptInShard || l.held() != leaseShards*leasesInShard {
		t.Errorf("%d locks, %d records, want %d, %d", locked, l.held(), leaseShards*keptInShard, leaseShards*leasesInShard)
	}
	for i := range 2 * leaseShards * leasesInShard {
		l.grant("new "+strconv.Itoa(i), 100, 200)
	}
	if l.held() != leaseShards*leasesInShard {
		t.Errorf("%d records, want %d: new leases take the place of old ones only", l.held(), leaseShards*leasesInShard)
	}
	if reply := l.grant("another", 150, 200); reply.State != cache.LeaseRefused {
		t.Errorf("got %+v, want a refusal", reply)
	}
	if !l.lock("another", handle, 200, 300) {
		t.Error("no room after all locks have ended")
	}
}

func TestTooManyForcedLocksAreRefused(t *testing.T) {
	c, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	for i := range leaseShards * leasesInShard {
		c.leases.lock(strconv.Itoa(i), cache.LockHandle{1}, 0, never)
	}
	_, _, err = c.GetAndLock(t.Context(), "one more", time.Hour, cache.LockOptions{Force: true})
	if !errors.Is(err, cache.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

// A holder that crashed leaves nothing behind.
func TestAbandonedForcedLocksAreSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		time.Sleep(time.Hour) // no timer is set
		if _, _, err := c.GetAndLock(t.Context(), "k", 10*time.Second, cache.LockOptions{Force: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		if held := c.leases.held(); held != 0 {
			t.Errorf("%d held, want none", held)
		}
	})
}

// Tokens grow whatever the clock does, and a process that starts later gives out
// greater ones.
func TestFencesGrow(t *testing.T) {
	var f fences
	now := time.Now()
	first := f.next(now)
	if first != uint64(now.UnixMicro()) {
		t.Errorf("got %d, want the time, %d", first, now.UnixMicro())
	}
	for i, at := range []time.Time{now, now.Add(-time.Hour), now.Add(time.Microsecond)} {
		if got := f.next(at); got != first+uint64(i)+1 {
			t.Errorf("got %d, want the next, %d", got, first+uint64(i)+1)
		}
	}
	var successor fences
	if got := successor.next(now.Add(time.Millisecond)); got <= first+3 {
		t.Errorf("got %d after %d", got, first+3)
	}
}

// Few entries have an order, so it is kept beside the lock; a lock and its end
// leave it.
func TestOrderIsKeptBesideTheLock(t *testing.T) {
	n := (&draft{}).node("k", 0)
	e := &n.Value
	if e.order() != 0 || e.lockAt(0) != nil {
		t.Errorf("a new entry has order %d", e.order())
	}
	e.setOrder(7)
	for range 2 {
		if e.order() != 7 || e.lockAt(0) != nil || expired(n, never-1) {
			t.Fatalf("got order %d, locked %v", e.order(), e.lockAt(0) != nil)
		}
		lockUntil(n, cache.LockHandle{1}, 0, 100)
		if e.order() != 7 || e.lockAt(99) == nil || e.lockAt(100) != nil {
			t.Fatalf("locked: got order %d", e.order())
		}
		if next := renewed(n, 0, never); next.Value.order() != 7 || next.Value.lockAt(99) != nil {
			t.Fatalf("renewed: got order %d", next.Value.order())
		}
		e.unlock()
	}
	e.setOrder(0)
	if e.side.Load() != nil {
		t.Error("no order still takes memory")
	}
}
