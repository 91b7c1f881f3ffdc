// Package memory is the in-process cache: bytes, Go objects and counters under
// text keys, bounded by number and weight, with exact expiration.
//
// It is not shared between processes and does not survive one; see package
// distributed for that.
//
// # Bounds
//
// Entries and bytes are never beyond the limits, at any instant: a call makes
// room before it stores. Pinned entries are not evicted for others, so it may be
// that nothing else fits; a normal entry is then stored and evicted in the same
// step, a pinned one refused with cache.ErrValueTooLarge.
//
// # Time
//
// An entry is not returned at or after its deadline, to the nanosecond of the
// process's clock; the only exception is a process that was stopped, or so
// starved that a timer was late by most of a second, and only for the moment
// until its timers run again. Memory is reclaimed within about two seconds of
// the deadline without anybody reading the entry, and no goroutine waits for
// that.
//
// A read restarts a sliding window only if that moves the deadline by more than a
// sixteenth of the window, or to the end of the TTL. So an entry lives for at
// least fifteen sixteenths of its window after a read, and never longer than the
// window. Refresh, and a lock, are exact.
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
	"github.com/larder-go/larder/internal/engine"
	"github.com/larder-go/larder/internal/sizeof"
)

// layer is what the cache calls itself in events.
const layer = "memory"

// Cache is an in-process cache. Make one with New. It is safe for concurrent use,
// and has every capability that package cache knows. A cache that nobody refers to
// any more is collected; Close ends it at once, with the loads in flight.
//
// A hit takes no lock and allocates nothing, except for the copy that Get
// makes. A write takes the lock of its key for a moment.
type Cache struct {
	// Immutable.
	base          time.Time // time 0 of deadlines
	id            uint64    // random; what its versions have in common
	engine        *engine.Engine[entry]
	leases        *leases
	regions       *regions
	coordinator   *cache.Coordinator
	observer      cache.Observer
	watched       bool     // whether hits are told to observer or ranks
	ranks         *ranks   // nil: nobody wants to know
	notices       *notices // nil: nobody wants to know
	sweeper       *sweeper
	defaults      cache.EntryOptions
	maxValueBytes int
	weigh         func(key string, value any) int64

	closed atomic.Bool

	_        [64]byte             // keeps what writes change off the cache line of what hits look at
	sliding  atomic.Pointer[side] // see sideOf
	sizer    sizeof.Sizer
	counters counters
	fences   fences

	fills sync.RWMutex // held for reading by each fill
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
// hold DefaultMaxBytes. It starts no goroutine. The error names every option that
// was refused, each as a *cache.OptionError that wraps cache.ErrInvalidConfig.
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
	if o.RankReads {
		c.ranks = &ranks{reads: make(map[string]uint64)}
	}
	c.watched = o.Observer != nil || o.RankReads
	if o.Observer != nil || o.OnEvict != nil {
		c.notices = &notices{observer: o.Observer, onEvict: o.OnEvict}
	}
	c.engine = engine.New(engine.Options[entry]{
		Limits: limitsOf(o.MaxEntries, o.MaxBytes), Start: c.base, Gone: c.gone, Keep: keep, Tidied: c.tidied,
	})
	c.sweeper = newSweeper(c)
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
	c.engine.Close()
	if stopErr := c.sweeper.stop(ctx); stopErr != nil {
		return stopErr
	}
	c.leases.voidAll()
	c.engine.Clear()
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
