// Package memory is the in-process cache: bytes, Go objects and counters under
// text keys, bounded by number and weight, with exact expiration.
//
// It is not shared between processes and does not survive one; see package
// distributed for that.
//
// # Bounds
//
// While calls are storing, the limits may be exceeded by what those calls are
// storing and no more: each makes room before it returns. See Options.
//
// # Time
//
// An entry is never returned at or after its deadline, whatever the load. Its
// memory is reclaimed within about two seconds of the deadline, or one minute
// if its expiration is sliding, without anybody reading it.
//
// # Regions
//
// Expiring a region marks its generation, to which the entries point: it costs the
// same whatever the number of entries. They are misses from then on, with a lock
// or not, and their memory is reclaimed when they are read or written, evicted,
// or at their deadline, whichever comes first; until then Stats and Len count
// them. Clear leaves generations alone.
//
// # Locks
//
// A lock does not pin its entry. A locked entry is evicted like any other to
// make room, and its lock goes with it: PutAndUnlock is then cache.ErrNoEntry.
// An entry that must not be lost so is stored with cache.PriorityPinned. A
// forced lock on an absent key is not evicted; of these there can be about a
// hundred thousand, and one more is cache.ErrUnavailable.
package memory

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/sizeof"
)

// layer is what the cache calls itself in events.
const layer = "memory"

// Cache is an in-process cache. Make one with New and end it with Close. It is
// safe for concurrent use, and has every capability that package cache knows.
//
// A hit takes no lock and allocates nothing, except for the copy that Get
// makes. A write takes the lock of its key for a moment.
type Cache struct {
	// Immutable.
	base          time.Time // time 0 of deadlines
	id            uint64    // random; what its versions have in common
	engine        *engine
	leases        *leases
	regions       *regions
	coordinator   *cache.Coordinator
	observer      cache.Observer
	notices       *notices // nil: nobody wants to know
	janitor       *janitor
	defaults      cache.EntryOptions
	maxValueBytes int
	weigh         func(key string, value any) int64

	closed   atomic.Bool
	limits   atomic.Pointer[limits]
	hot      hot // away from what writes change
	sizer    sizeof.Sizer
	counters counters
	fences   fences

	fills    sync.RWMutex // held for reading by each fill
	resizing sync.Mutex   // held while the engine's capacity changes
	pinned   pins
}

var (
	_ cache.Backend     = (*Cache)(nil)
	_ cache.Batcher     = (*Cache)(nil)
	_ cache.Counter     = (*Cache)(nil)
	_ cache.Objects     = (*Cache)(nil)
	_ cache.Leaser      = (*Cache)(nil)
	_ cache.Appender    = (*Cache)(nil)
	_ cache.Clearer     = (*Cache)(nil)
	_ cache.Coordinated = (*Cache)(nil)
	_ cache.Versioner   = (*Cache)(nil)
	_ cache.Locker      = (*Cache)(nil)
	_ cache.WriteMarker = (*Cache)(nil)
	_ cache.Explainer   = (*Cache)(nil)
	_ cache.Ordered     = (*Cache)(nil)

	_ cache.ObjectVersioner = (*Cache)(nil)
	_ cache.ObjectLocker    = (*Cache)(nil)
	_ cache.Regions         = (*Cache)(nil)
)

// New returns a cache bounded as opts say; nil opts are the defaults, which
// hold DefaultMaxBytes. It starts one goroutine, which Close ends. The error
// names every option that was refused, each as a *cache.OptionError that wraps
// cache.ErrInvalidConfig.
func New(opts *Options) (*Cache, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Cache{
		base:          time.Now(),
		id:            rand.Uint64(),
		leases:        newLeases(),
		regions:       newRegions(),
		coordinator:   cache.NewCoordinator(o.Observer),
		observer:      o.Observer,
		defaults:      o.Defaults,
		maxValueBytes: o.MaxValueBytes,
		weigh:         o.Weigh,
	}
	if o.Observer != nil || o.OnEvict != nil {
		c.notices = &notices{observer: o.Observer, onEvict: o.OnEvict}
	}
	c.hot.init()
	l := newLimits(o.MaxEntries, o.MaxBytes)
	c.limits.Store(l)
	c.janitor = newJanitor(c)
	var err error
	if c.engine, err = newEngine(l.capacity, c.gone, c.janitor.ask); err != nil {
		return nil, err
	}
	go c.janitor.run()
	return c, nil
}

// Close ends the cache: the loads in flight end with cache.ErrClosed, every
// later call returns it, and what is in the cache is dropped without a call of
// OnEvict. It waits for loaders and for the cache's goroutine until ctx ends.
// It is idempotent and safe to call from several goroutines, but not from
// OnEvict or an Observer.
func (c *Cache) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	c.closed.Store(true)
	err := c.coordinator.Close(ctx)
	if stopErr := c.janitor.stop(ctx); stopErr != nil {
		return stopErr
	}
	c.engine.stop()
	c.leases.voidAll()
	c.engine.clear()
	return err
}

// Coordinate returns the cache's coordinator, and key as it is.
func (c *Cache) Coordinate(key string) (*cache.Coordinator, string) { return c.coordinator, key }

// now returns the time on the cache's clock.
func (c *Cache) now() int64 { return int64(time.Since(c.base)) }

// check is how every call with a key begins.
func (c *Cache) check(ctx context.Context, key string) error {
	if err := c.checkContext(ctx); err != nil {
		return err
	}
	return cache.CheckKey(key)
}

func (c *Cache) checkContext(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	if c.closed.Load() {
		return cache.ErrClosed
	}
	return ctx.Err()
}

// tidy reclaims what is past its time, and returns how much that was.
func (c *Cache) tidy() (expired uint64) {
	before := c.counters.expirations.Load()
	now := c.now()
	c.engine.tell(now)
	c.engine.maintain()
	expired = c.counters.expirations.Load() - before
	c.leases.sweep(now)
	c.settle()
	return expired
}

// nextReclaim returns when the next entry or lease can be reclaimed.
func (c *Cache) nextReclaim() int64 {
	next := c.leases.next()
	for e := range c.engine.entries {
		next = min(next, e.reclaim.Load())
	}
	return next
}

// gone is told by the engine about an entry that left the table, under the lock
// of its key.
func (c *Cache) gone(e *entry, cause Cause) {
	c.forget(e, e.causeAt(c.now(), cause))
}

// forget accounts for an entry that leaves the table. The lock of its key is
// held.
func (c *Cache) forget(e *entry, cause Cause) {
	c.hot.leave(e)
	c.counters.entries.Add(-1)
	c.counters.bytes.Add(-e.weight)
	charge := e.account.charge()
	c.counters.used.Add(-charge)
	if e.pinned {
		c.pinned.release(charge)
	}
	if c.closed.Load() {
		return
	}
	switch cause {
	case CauseExpired:
		c.counters.expirations.Add(1)
	case CauseCapacity:
		c.counters.evictions.Add(1)
	case CauseRemoved:
		c.counters.removes.Add(1)
	}
	if c.notices != nil {
		c.notices.add(e, cause)
	}
}

// settle ends a call that may have changed the table, with no lock held: it
// makes room and reports who left.
func (c *Cache) settle() {
	if c.pinned.changed.Load() {
		c.fitEngine()
	}
	if c.counters.used.Load() > c.limits.Load().capacity {
		c.engine.maintain()
	}
	c.hot.fit(c.counters.entries.Load())
	if c.notices != nil {
		c.notices.deliver()
	}
}
