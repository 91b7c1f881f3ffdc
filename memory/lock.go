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
	l := e.lock.Load()
	if l == nil || now >= l.end {
		return nil
	}
	return l
}

// order returns the order of the value of e, or 0.
func (e *entry) order() uint64 {
	if l := e.lock.Load(); l != nil {
		return l.order
	}
	return 0
}

// setOrder leaves e without a lock and with that order. The key's lock is held,
// or e is not in the table yet.
func (e *entry) setOrder(order uint64) {
	if order == 0 {
		e.lock.Store(nil)
		return
	}
	e.lock.Store(&lock{end: math.MinInt64, order: order})
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

// version returns the version of e, which is in the table or was: what the
// cache's versions have in common, and the number of the write.
func (c *Cache) version(e *entry) cache.Version {
	var v cache.Version
	binary.BigEndian.PutUint64(v[:8], c.id)
	binary.BigEndian.PutUint64(v[8:], e.write)
	return v
}

// standing returns old if it is live at now, and nil if it is not and stays so.
// The key's lock is held.
func standing(old *entry, now int64) *entry {
	if old == nil || old.end(now) {
		return nil
	}
	return old
}

// left returns how long e lives if nothing befalls it.
func (e *entry) left(now int64) time.Duration {
	end := e.deadline.Load()
	if end == never {
		return cache.NoExpiry
	}
	if l := e.lockAt(now); l != nil {
		end = max(end, l.end)
	}
	return time.Duration(max(0, end-now))
}

// lockUntil puts a lock on e, until which e does not expire, and restarts its
// sliding window. The key's lock is held, and e is live at now.
func (e *entry) lockUntil(handle cache.LockHandle, now, end int64) {
	deadline := e.slide(now)
	e.reclaim.Store(max(e.reclaim.Load(), e.reclaimAfter(deadline), end))
	e.lock.Store(&lock{handle, end, e.order()})
}

// slide restarts the sliding window of e, if it has one, and returns the
// deadline.
func (e *entry) slide(now int64) int64 {
	for {
		deadline := e.deadline.Load()
		next := min(now+e.window, e.absolute)
		if e.window == 0 || next <= deadline || e.deadline.CompareAndSwap(deadline, next) {
			return max(deadline, e.deadline.Load())
		}
	}
}

// unlock ends the lock on e. The engine may reclaim e as if there had been none:
// reads that go on meanwhile may move a sliding deadline to a window from now,
// which is why that counts here. The key's lock is held.
func (e *entry) unlock(now int64) {
	e.setOrder(e.order())
	last := e.deadline.Load()
	if e.window > 0 {
		last = max(last, min(now+e.window, e.absolute))
	}
	e.reclaim.Store(e.reclaimAfter(last))
}

// renewed returns a copy of e that lives for ttl from now, or as long as its
// sliding window lets it; never: as ttl. It has the version and order of e, the
// place of e in all accounts, and no lock.
func (e *entry) renewed(now, ttl int64) *entry {
	next := &entry{
		kind: e.kind, pinned: e.pinned, window: e.window, absolute: never,
		object: e.object, bytes: e.bytes, key: e.key, weight: e.weight, write: e.write, stamp: e.stamp,
	}
	next.account.setCharge(e.account.charge())
	next.setOrder(e.order())
	if ttl != never {
		next.absolute = now + ttl
	}
	deadline := next.absolute
	if e.window > 0 {
		deadline = min(deadline, now+e.window)
	}
	next.deadline.Store(deadline)
	next.reclaim.Store(next.reclaimAfter(deadline))
	return next
}
