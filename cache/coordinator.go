package cache

import (
	"context"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Coordinator holds what the callers of one cache share: the loads in flight,
// the switch that turns caching off, and the counters of loads. A backend owns
// one, hands it out through Coordinated, and tells it about every write.
//
// The interleaving it defends against: a load reads the source; the source and
// then the cache are written; a caller that starts now must neither wait for
// that load nor find its result stored. So every write first takes the load
// out of the table and voids it (later callers start their own), then changes
// the cache (which voids the load's lease, so its fill is refused), then voids
// once more (a load that started in between began before the write returned).
type Coordinator struct {
	// Immutable.
	observer Observer
	seed     maphash.Seed

	disabled     atomic.Bool
	begun        atomic.Uint64 // flights so far
	loads        atomic.Uint64
	loadErrors   atomic.Uint64
	loadsShared  atomic.Uint64
	refused      atomic.Uint64
	joinsRefused atomic.Uint64
	leasesLost   atomic.Uint64
	undecodable  atomic.Uint64
	staleHits    atomic.Uint64
	refreshes    atomic.Uint64
	errorsCached atomic.Uint64

	shards [32]flightShard

	views atomic.Pointer[map[typedKey]any] // the default Typed of each type

	mu      sync.Mutex
	running int           // loads whose goroutine has not ended
	idle    chan struct{} // made by Close; closed when running is 0
}

type flightShard struct {
	busy atomic.Int64 // len(flights) + len(notes), readable without the lock

	mu      sync.Mutex
	closed  bool
	flights map[flightKey]*flight
	notes   map[string]note // of names whose last load is not to be repeated yet; nil if there were none

	_ [64]byte // keeps neighbours off this cache line
}

// flightKey is what makes two callers share a load. Callers that bypass the
// cache share among themselves only: their load fills nothing.
type flightKey struct {
	name   string
	bypass bool
}

// flight is the one load that the callers of a key share.
type flight struct {
	// Immutable.
	key   flightKey
	load  *load
	typ   any           // the Go type being loaded
	begun uint64        // which of the coordinator's flights it is
	done  chan struct{} // closed when value and err are set

	// Guarded by the shard's mu.
	waiters int
	claim   LeaseReply    // what the cache said when the load asked for a lease
	base    Version       // of the entry that the load is to refresh; zero: none
	storing bool          // it replaces the entry just now: see beginStoring
	depends dependence    // on regions
	reading bool          // what it will bring may have been read already
	counted bool          // among its load's wanted
	void    bool          // abandoned, invalidated or over: nobody may join
	stale   bool          // invalidated: must not be stored
	filling chan struct{} // made by a guarded fill, which closes it; not changed once void

	// Written before done is closed.
	value any
	err   error
	redo  bool // who joined late starts over: see dependence
}

// joined is a caller's place in a flight.
type joined struct {
	*flight
	led  bool // the caller began it, and must run it
	late bool // it began to read before the caller came
	over bool // it was storing when the caller came, who looks again when it is done
}

// load is one run of a loader, for one flight or a batch of them.
type load struct {
	started time.Time

	ctx    context.Context
	cancel context.CancelCauseFunc
	wanted atomic.Int32 // flights that are not void
	// patient loads are not cancelled when a key is written: their callers
	// were sent back too often already. Their result is still not stored.
	patient atomic.Bool

	owner *Coordinator // whom the load's goroutine belongs to; confined to the caller that leads
}

// NewCoordinator returns a coordinator that reports to observer, which may be
// nil.
func NewCoordinator(observer Observer) *Coordinator {
	c := &Coordinator{observer: observer, seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].flights = make(map[flightKey]*flight)
	}
	return c
}

// Invalidate voids the loads in flight for name: later callers do not join
// them, their context ends with ErrInvalidated, and what they return is not
// stored. A backend calls it before and after it writes name. It costs an
// atomic read when nothing is being loaded nearby.
func (c *Coordinator) Invalidate(name string) {
	s := c.shard(name)
	if s.busy.Load() == 0 {
		return
	}
	for _, bypass := range [...]bool{false, true} {
		s.mu.Lock()
		f := s.flights[flightKey{name, bypass}]
		voided := f != nil && s.invalidateLocked(f)
		s.forgetLocked(name)
		s.mu.Unlock()
		if voided {
			c.invalidated(f)
		}
	}
}

// InvalidateAll voids every load in flight.
func (c *Coordinator) InvalidateAll() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		flights := make([]*flight, 0, len(s.flights))
		for _, f := range s.flights {
			if s.invalidateLocked(f) {
				flights = append(flights, f)
			}
		}
		s.forgetAllLocked()
		s.mu.Unlock()
		for _, f := range flights {
			c.invalidated(f)
		}
	}
}

// invalidateLocked voids f and reports whether it did. A flight that has not
// begun to read will read what is true after the write. One that is storing what
// it brought is told by the cache whether the entry is still the one it replaces.
func (s *flightShard) invalidateLocked(f *flight) bool {
	if !f.reading || f.storing {
		return false
	}
	f.stale = true
	s.dropLocked(f)
	f.counted = false
	return true
}

// invalidated tells the load of a voided flight, and lets a guarded fill end
// before the write goes on.
func (c *Coordinator) invalidated(f *flight) {
	f.load.unwanted(ErrInvalidated)
	c.observe(f.load.ctx, Event{Kind: EventInvalidation, Layer: "load"})
	if f.filling != nil {
		<-f.filling
	}
}

// dropLocked takes f out of the table, so that nobody joins it any more. It
// reports whether it was there.
func (s *flightShard) dropLocked(f *flight) bool {
	if f.void {
		return false
	}
	f.void = true
	delete(s.flights, f.key)
	s.busy.Add(-1)
	return true
}

// unwanted notes that one more flight has no use for the load, and cancels it
// when that was the last one.
func (l *load) unwanted(cause error) {
	if l.wanted.Add(-1) == 0 && !(l.patient.Load() && cause == ErrInvalidated) {
		l.cancel(cause)
	}
}

// SetEnabled turns caching on or off for everything typed on this cache. While
// it is off, GetOrCreateExclusive loads at every call (concurrent callers still
// share), Get misses, and nothing is stored.
func (c *Coordinator) SetEnabled(on bool) { c.disabled.Store(!on) }

// Enabled reports whether caching is on.
func (c *Coordinator) Enabled() bool { return !c.disabled.Load() }

// AddTo adds the coordinator's counters to a backend's.
func (c *Coordinator) AddTo(s *Stats) {
	s.Loads += c.loads.Load()
	s.LoadErrors += c.loadErrors.Load()
	s.LoadsShared += c.loadsShared.Load()
	s.FillsRefused += c.refused.Load()
	s.LeasesLost += c.leasesLost.Load()
	s.JoinsRefused += c.joinsRefused.Load()
	s.Undecodable += c.undecodable.Load()
	s.StaleHits += c.staleHits.Load()
	s.Refreshes += c.refreshes.Load()
	s.ErrorsCached += c.errorsCached.Load()
}

// Close ends every load in flight with ErrClosed, refuses new ones, and waits
// until their loaders have returned or ctx ends. It is idempotent.
func (c *Coordinator) Close(ctx context.Context) error {
	if ctx == nil {
		return ErrNilContext
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.closed = true
		flights := make([]*flight, 0, len(s.flights))
		for _, f := range s.flights {
			flights = append(flights, f)
			f.stale = true
			s.dropLocked(f)
		}
		s.forgetAllLocked()
		s.mu.Unlock()
		for _, f := range flights {
			f.load.cancel(ErrClosed)
		}
	}
	select {
	case <-c.whenIdle():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Coordinator) whenIdle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle == nil {
		c.idle = make(chan struct{})
		if c.running == 0 {
			close(c.idle)
		}
	}
	return c.idle
}

func (c *Coordinator) shard(name string) *flightShard {
	return &c.shards[maphash.String(c.seed, name)%uint64(len(c.shards))]
}

func (c *Coordinator) observe(ctx context.Context, e Event) {
	if c.observer != nil {
		c.observer.Observe(ctx, e)
	}
}

// typed returns the default Typed that was kept under id.
func (c *Coordinator) typed(id typedKey) (any, bool) {
	views := c.views.Load()
	if views == nil {
		return nil, false
	}
	t, ok := (*views)[id]
	return t, ok
}

// addTyped keeps t under id, unless there is one already, and returns the one
// that is kept. The map is copied on write: reading it takes no lock.
func (c *Coordinator) addTyped(id typedKey, t any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kept, ok := c.typed(id); ok {
		return kept
	}
	views := map[typedKey]any{id: t}
	if old := c.views.Load(); old != nil {
		maps.Copy(views, *old)
	}
	c.views.Store(&views)
	return t
}

// void is Invalidate for one flight. It reports whether that was news.
func (c *Coordinator) void(f *flight) bool {
	s := c.shard(f.key.name)
	s.mu.Lock()
	voided := !f.void && s.invalidateLocked(f)
	s.mu.Unlock()
	if voided {
		c.invalidated(f)
	}
	return voided
}
