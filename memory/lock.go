package memory

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// lock is a lock on an entry, and the order of its value. It is immutable, and
// the lock ends by itself: one that ended before all
// time is the order alone. They share a place because few
// entries have either, and no entry has room for more.
//
// A lock is part of its entry: what replaces or removes the entry drops the
// lock in the same step. A forced lock, which has no entry, is kept with the
// leases.
type lock struct {
	handle cache.LockHandle
	end    int64
	order  uint64 // as SetIfNewer was given it; 0: none
}

// lockAt returns the lock that stands on e at now, or nil.
func (e *entry) lockAt(now int64) *lock {
	l := e.lastLock()
	if l == nil || now >= l.end {
		return nil
	}
	return l
}

// order returns the order of the value of e, or 0.
func (e *entry) order() uint64 {
	if l := e.lastLock(); l != nil {
		return l.order
	}
	return 0
}

// setOrder leaves e without a lock and with that order. The key's lock is held,
// or e is not in the table yet.
func (e *entry) setOrder(order uint64) {
	if order == 0 {
		e.setLock(nil)
		return
	}
	e.setLock(&lock{end: math.MinInt64, order: order})
}

// fences gives out the fencing tokens of a cache's locks.
type fences struct{ last atomic.Uint64 }

// next returns a token greater than all before, and not less than the time in
// microseconds, so that those of the process's successor are greater.
func (f *fences) next(now time.Time) uint64 {
	for {
		last := f.last.Load()
		token := max(last+1, uint64(now.UnixMicro()))
		if f.last.CompareAndSwap(last, token) {
			return token
		}
	}
}

// newHandle returns a random handle, from the runtime's ChaCha8 generator.
func newHandle() cache.LockHandle {
	var h cache.LockHandle
	for h == (cache.LockHandle{}) {
		binary.NativeEndian.PutUint64(h[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(h[8:], rand.Uint64())
	}
	return h
}

// version returns the version of n, which is in the table or was: what the
// cache's versions have in common, and the number of the write.
func (c *Cache) version(n *node) cache.Version {
	var v cache.Version
	binary.BigEndian.PutUint64(v[:8], c.id)
	binary.BigEndian.PutUint64(v[8:], n.Value.write)
	return v
}

// lockUntil puts a lock on n, until which it does not expire, and restarts its
// sliding window. The key's lock is held, and n is live at now.
func lockUntil(n *node, handle cache.LockHandle, now, end int64) {
	slide(n, now)
	n.Value.setLock(&lock{handle, end, n.Value.order()})
}

// slide restarts the sliding window of n exactly, if it has one, and reports
// whether n is live at now but for regions: a lock keeps it beyond its deadline.
func slide(n *node, now int64) bool {
	e := &n.Value
	window, absolute := e.sliding()
	for {
		deadline := n.Deadline()
		if now >= deadline && e.lockAt(now) == nil {
			return false
		}
		next := min(now+window, absolute)
		if window == 0 || next <= deadline || n.MoveDeadline(deadline, next) {
			return true
		}
	}
}

// unlock ends the lock on e. The key's lock is held.
func (e *entry) unlock() { e.setOrder(e.order()) }

// renewed returns a copy of n that lives for ttl from now, or as long as its
// sliding window lets it; never: as ttl. It has the version and order of n, the
// place of n in all accounts, and no lock.
func renewed(n *node, now, ttl int64) *node {
	e, absolute := &n.Value, int64(never)
	window, _ := e.sliding()
	if ttl != never {
		absolute = now + ttl
	}
	next := newNode(n.Key(), &draft{
		pinned: n.Pinned(), object: e.object, weight: n.Weight(), stamp: e.stamp(),
	}, window, absolute, now)
	next.Value.write = e.write
	next.Value.setOrder(e.order())
	return next
}
