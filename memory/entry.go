package memory

import (
	"math"
	"sync/atomic"

	"github.com/larder-go/larder/cache"
)

// kind is what an entry holds; calls for another kind fail with ErrWrongType.
type kind uint8

const (
	kindBytes kind = iota
	kindObject
	kindCounter
)

// never is the deadline of an entry that does not expire. Deadlines are
// nanoseconds on the cache's clock.
const never = math.MaxInt64

// entry is what the engine stores under a key. Its value and lifetime never
// change, except for a counter's number; a write stores another entry.
type entry struct {
	// What a hit looks at: 64 bytes, which share a cache line, for an entry is as
	// long as its size class. Immutable, except for account.
	kind     kind
	pinned   bool
	account  account // written under the key's lock
	stamp    *stamp  // the regions that it depends on; nil: none
	window   int64   // the sliding window; 0: none
	absolute int64   // the deadline that a sliding window never passes
	key      string
	object   any // a counter's is its number, an *atomic.Int64

	// Immutable.
	bytes  string
	weight int64  // in bytes, as Stats reports it
	write  uint64 // the number of the write that made it; see Cache.version

	deadline atomic.Int64         // moved by reads if window > 0, later only
	reclaim  atomic.Int64         // when the engine may reclaim it, never before it expires; written under the key's lock
	lock     atomic.Pointer[lock] // the last one, and the order; written under the key's lock
}

// account is what an entry takes of the capacity, and in the highest bit whether
// it left the table.
type account struct{ bits atomic.Uint32 }

const goneBit = 1 << 31

func (a *account) charge() int64 { return int64(a.bits.Load() &^ goneBit) }
func (a *account) gone() bool    { return a.bits.Load()&goneBit != 0 }
func (a *account) leave()        { a.bits.Or(goneBit) }

// setCharge changes the charge and returns the one before.
func (a *account) setCharge(charge int64) (before int64) {
	bits := a.bits.Load()
	a.bits.Store(bits&goneBit | uint32(charge))
	return int64(bits &^ goneBit)
}

func newEntry(key string, kind kind, now int64, life cache.Lifetime, pinned bool) *entry {
	e := &entry{key: key, kind: kind, pinned: pinned, absolute: never, window: int64(life.Sliding)}
	if kind == kindCounter {
		e.object = new(atomic.Int64)
	}
	if life.TTL > 0 {
		e.absolute = now + int64(life.TTL)
	}
	deadline := e.absolute
	if e.window > 0 {
		deadline = min(deadline, now+e.window)
	}
	e.deadline.Store(deadline)
	e.reclaim.Store(e.reclaimAfter(deadline))
	return e
}

// expired reports whether e is gone at now: at its deadline, not after it, or
// when its lock ends if that is later; and at once if a region of it expired.
func (e *entry) expired(now int64) bool {
	return e.lapsed() || now >= e.deadline.Load() && e.lockAt(now) == nil
}

// lapsed reports whether a region that e depends on expired. That is for good.
func (e *entry) lapsed() bool { return e.stamp != nil && e.stamp.expired() }

// end makes sure that an entry that has expired at now stays so: a read that was
// slow to move the deadline fails to. It returns false if one was in time, or e
// has not expired. The key's lock is held.
func (e *entry) end(now int64) bool {
	deadline := e.deadline.Load()
	return e.lapsed() || now >= deadline && e.lockAt(now) == nil && e.deadline.CompareAndSwap(deadline, 0)
}

// causeAt returns why e leaves that something takes away at now.
func (e *entry) causeAt(now int64, cause Cause) Cause {
	switch {
	case e.lapsed():
		return CauseRemoved
	case e.expired(now):
		return CauseExpired
	}
	return cause
}

// reclaimAfter returns when the engine may reclaim e if its deadline is as
// given. A sliding entry gets slack, so that a read need not tell the engine
// each time it moves the deadline.
func (e *entry) reclaimAfter(deadline int64) int64 {
	if e.window == 0 || deadline >= e.absolute {
		return e.absolute
	}
	slack := min(max(e.window/4, minReclaimSlack), maxReclaimSlack)
	if deadline >= e.absolute-slack {
		return e.absolute
	}
	return deadline + slack
}

const (
	minReclaimSlack = 1_000_000_000
	maxReclaimSlack = 30_000_000_000
)

// number returns a counter's number; it is written under the key's lock.
func (e *entry) number() *atomic.Int64 { return e.object.(*atomic.Int64) }

// value returns what e holds, for somebody outside.
func (e *entry) value() any {
	switch e.kind {
	case kindObject:
		return e.object
	case kindCounter:
		return e.number().Load()
	}
	return copyOf(e.bytes)
}
