package memory

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// engine is the table of entries and the policy that decides which of them
// leave to make room. It is the only file that knows otter, so that another
// engine can take its place.
//
// What the cache relies on: find does not lock; compute runs its function alone
// among all changes of that key, maintenance included; an entry is reclaimed
// at or after its reclaim time, never before, once maintain was told a time
// past it; a pinned one is never evicted to make room; gone is called once for
// each entry that leaves other than by being replaced in compute, under the
// key's lock.
//
// The engine's own expiration only reclaims memory, on a clock that stands
// still between ticks: the cache checks the exact deadline itself. So a hit
// reads the time once, not twice. All its maintenance runs on the goroutine of
// a writer or of the janitor, so it has no goroutine to leak.
type engine struct {
	cache *otter.Cache[string, *entry]
	clock *tickClock
}

// newEngine returns an engine that holds entries of at most capacity in charge.
// gone is told about entries that leave; it must not call the engine. later
// runs maintenance on another goroutine, soon; what waits there already it need
// not take twice.
func newEngine(capacity int64, gone func(*entry, Cause), later func(func())) (*engine, error) {
	clock := &tickClock{}
	c, err := otter.New(&otter.Options[string, *entry]{
		MaximumWeight: uint64(capacity),
		Weigher: func(_ string, e *entry) uint32 {
			if e.pinned {
				return 0
			}
			return uint32(e.account.charge())
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(o otter.Entry[string, *entry]) time.Duration {
			return time.Duration(max(1, o.Value.reclaim.Load()-o.SnapshotAtNano))
		}),
		OnAtomicDeletion: func(e otter.DeletionEvent[string, *entry]) {
			switch e.Cause {
			case otter.CauseInvalidation:
				gone(e.Value, CauseRemoved)
			case otter.CauseOverflow:
				gone(e.Value, CauseCapacity)
			case otter.CauseExpiration:
				gone(e.Value, CauseExpired)
			}
		},
		Executor: later,
		Clock:    clock,
	})
	if err != nil {
		return nil, err
	}
	return &engine{cache: c, clock: clock}, nil
}

// find returns the entry under key, or nil, and counts as a use of it. It does
// not keep key.
func (e *engine) find(key string) *entry {
	found, _ := e.cache.GetIfPresent(key)
	return found
}

// peek is find that does not count as a use.
func (e *engine) peek(key string) *entry {
	found, _ := e.cache.GetEntryQuietly(key)
	return found.Value
}

// compute replaces the entry under key, or nil, by what change returns: the
// same to leave it alone (and take over the reclaim time, if that was changed),
// nil to remove it. change must not call the engine.
func (e *engine) compute(key string, change func(old *entry) *entry) {
	e.cache.Compute(key, func(old *entry, _ bool) (*entry, otter.ComputeOp) {
		var reclaim int64
		if old != nil {
			reclaim = old.reclaim.Load()
		}
		switch next := change(old); {
		case next == old && (old == nil || old.reclaim.Load() == reclaim):
			return old, otter.CancelOp
		case next == nil:
			return nil, otter.InvalidateOp
		default:
			return next, otter.WriteOp
		}
	})
}

// rewrite calls update if e is still in the table, and takes over the reclaim
// time and charge it sets. update must not call the engine.
func (e *engine) rewrite(en *entry, update func()) {
	e.cache.Compute(en.key, func(old *entry, _ bool) (*entry, otter.ComputeOp) {
		if old != en {
			return old, otter.CancelOp
		}
		update()
		return en, otter.WriteOp
	})
}

// entries calls yield for every entry that is in the table from start to end
// and was not yet to be reclaimed, and for some that are not.
func (e *engine) entries(yield func(*entry) bool) {
	for en := range e.cache.Values() {
		if !yield(en) {
			return
		}
	}
}

// resize changes the capacity and evicts down to it.
func (e *engine) resize(capacity int64) { e.cache.SetMaximum(uint64(max(1, capacity))) }

// tell moves the engine's clock to now. It is cheap enough for every write.
func (e *engine) tell(now int64) { e.clock.advance(now) }

// maintain applies what is pending: it reclaims expired entries and evicts down
// to the capacity.
func (e *engine) maintain() { e.cache.CleanUp() }

// clear removes every entry that is in the table when it is called.
func (e *engine) clear() { e.cache.InvalidateAll() }

// stop waits for what newEngine started.
func (e *engine) stop() { e.cache.StopAllGoroutines() }

// tickClock is the engine's clock: it shows the time it was last told.
type tickClock struct{ now atomic.Int64 }

// advanceStep keeps writers from fighting over the clock's cache line.
const advanceStep = int64(50 * time.Millisecond)

func (c *tickClock) advance(now int64) {
	if seen := c.now.Load(); now > seen+advanceStep {
		c.now.CompareAndSwap(seen, now)
	}
}

// NowNano returns the time last told.
func (c *tickClock) NowNano() int64 { return c.now.Load() }

// Tick returns nil: the cache's janitor calls maintain, so the engine needs no
// goroutine of its own.
func (c *tickClock) Tick(time.Duration) <-chan time.Time { return nil }
