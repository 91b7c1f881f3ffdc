package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// patientAfter is how often a caller is sent back by invalidations of its key
// before it insists: from then on the load it waits for runs to its end.
const patientAfter = 2

// loadSpec is what a caller asks of a load that it may have to start.
type loadSpec struct {
	typ     any // the Go type being loaded
	timeout time.Duration
	patient bool
}

// arrival is what a caller knows when it looks for a flight to join.
type arrival struct {
	// shared: other processes write the cache, so a flight may be out of date
	// although nobody here voided it.
	shared bool
	since  uint64 // how many flights had begun when the caller came, or a little later
	// seen is what Peek said of the key after the caller came; nil: not asked.
	seen *LeaseReply
	// version is of the entry that was found after the caller came, if that has
	// expired.
	version Version
	// blind: the cache cannot be asked. Then loads are shared all the same, or
	// an outage of the cache would become one of the source.
	blind bool
}

// join enters the caller as a waiter of key's flight. If there is none it
// starts one, which the caller must then run (it is led) as l, or as a new
// load if l is nil.
//
// The interleaving that doubt defends against: a load in this process reads the
// source; another process writes the source and then the cache; a caller comes
// to this process, whose coordinator knows nothing of it, and joins the load.
// The write has voided the load's lease, though. So a caller joins a flight that
// is older than itself only if Peek, asked after the caller came, shows the
// flight's lease, or the epoch of the write mark that the flight began under, or
// if the expired entry is still the one that the flight is to refresh; else it puts a new flight in its place. Who joined the old one before may take
// what it brings, and its fill is refused.
func (c *Coordinator) join(ctx context.Context, key flightKey, spec loadSpec, l *load, a arrival) (j joined, doubt bool, err error) {
	if isHeld(ctx, c, key.name) {
		return joined{}, false, ErrRecursiveLoad
	}
	var replaced bool
	defer func() {
		if replaced { // with the lock given back
			c.observe(ctx, Event{Kind: EventJoinRefused, Layer: layerLoad})
		}
	}()
	s := c.shard(key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return joined{}, false, ErrClosed
	}
	if f := s.flights[key]; f != nil {
		switch {
		case f.typ != spec.typ:
			return joined{}, false, ErrTypeMismatch
		case f.storing:
			f.waiters++
			return joined{flight: f, over: true}, false, nil
		case f.joinableLocked(a):
			late := f.reading && f.begun <= a.since
			f.depends.late = f.depends.late || late
			f.waiters++
			if spec.patient {
				f.load.patient.Store(true)
			}
			c.loadsShared.Add(1)
			return joined{flight: f, late: late}, false, nil
		case a.seen == nil:
			return joined{}, true, nil
		}
		s.dropLocked(f)
		c.joinsRefused.Add(1)
		replaced = true
	}
	return c.startLocked(ctx, s, key, spec, l), false, nil
}

// startLocked starts a flight that the caller must run.
func (c *Coordinator) startLocked(ctx context.Context, s *flightShard, key flightKey, spec loadSpec, l *load) joined {
	if l == nil {
		l = c.newLoad(ctx, spec, key.name)
	}
	if l.owner == nil {
		l.owner = c
		c.started()
	}
	l.wanted.Add(1)
	f := &flight{key: key, load: l, typ: spec.typ, begun: c.begun.Add(1), done: make(chan struct{}), waiters: 1, counted: true, claim: unclaimed}
	s.flights[key] = f
	s.busy.Add(1)
	return joined{flight: f, led: true}
}

// unclaimed is the claim of a load that did not ask for a lease, or got no
// answer. It tells nothing of who is in charge of the key.
var unclaimed = LeaseReply{State: LeaseRefused, Err: ErrUnavailable}

// joinableLocked reports whether the flight began late enough for the caller,
// or was in charge of its key when the caller asked.
func (f *flight) joinableLocked(a arrival) bool {
	if !a.shared || a.blind || !f.reading || f.begun > a.since {
		return true
	}
	if a.seen == nil {
		return false
	}
	switch f.claim.State {
	case LeaseGranted:
		return a.seen.State == LeaseBusy && a.seen.Lease == f.claim.Lease
	case LeaseMarked:
		return a.seen.State == LeaseMarked && a.seen.Lease == f.claim.Lease
	case LeaseRefused:
		return a.seen.State == LeaseRefused && f.claim.Err == nil
	case LeaseFound:
		return f.base != Version{} && f.base == a.version
	}
	return false
}

// newLoad makes the context that a load of names runs under: the values of the
// first caller, not its deadline or cancellation.
func (c *Coordinator) newLoad(ctx context.Context, spec loadSpec, names ...string) *load {
	ctx = context.WithValue(context.WithoutCancel(ctx), heldKey{}, &held{c, names, heldIn(ctx)})
	l := &load{started: time.Now()}
	l.patient.Store(spec.patient)
	ctx, stop := context.WithTimeoutCause(ctx, spec.timeout, ErrLoadTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	l.ctx, l.cancel = ctx, func(cause error) {
		cancel(cause)
		stop()
	}
	return l
}

// wait returns what the flight brings. If again is true it brought nothing
// that this caller may use, because its key was written or a region of it
// expired: the caller looks anew.
//
// A caller whose patience ends leaves the flight to go on without it, with
// errImpatient; nil: it waits as long as it takes.
func (c *Coordinator) wait(ctx context.Context, j joined, patience <-chan time.Time) (value any, err error, again bool) {
	f := j.flight
	select {
	case <-f.done:
	case <-patience:
		return nil, errImpatient, false // and stays one of its waiters, so that it is not abandoned
	case <-ctx.Done():
		c.leave(f)
		return nil, ctx.Err(), false
	case <-f.load.ctx.Done():
		select {
		case <-f.done: // over first, and its context ended as a consequence
		default:
			cause := context.Cause(f.load.ctx)
			c.drop(f)
			return nil, cause, sentBack(cause)
		}
	}
	return f.value, f.err, sentBack(f.err) || j.late && f.redo || j.over
}

// errImpatient ends the waiting of a caller, and not the load.
var errImpatient = errors.New("larder: the load takes too long to be waited for")

func sentBack(err error) bool {
	return err == ErrInvalidated || err == ErrAbandoned //nolint:errorlint // these very errors, unwrapped: a loader may return one of its own
}

// leave takes a waiter out of the flight. The last one ends the load.
func (c *Coordinator) leave(f *flight) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	f.waiters--
	last := f.waiters == 0
	counted := f.counted
	if last {
		s.dropLocked(f)
		f.counted = false
	}
	s.mu.Unlock()
	switch {
	case last && counted:
		f.load.unwanted(ErrAbandoned)
	case last && f.load.wanted.Load() == 0:
		f.load.cancel(ErrAbandoned) // it was invalidated before, but patient
	}
}

func (c *Coordinator) drop(f *flight) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(f)
}

// setReading notes that the flight begins to read what it will bring, from the
// cache or the source, or that it has thrown away what it had read. Only
// between is a write to its key a reason to void it.
func (c *Coordinator) setReading(f *flight, reading bool) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.reading = reading
}

// setClaim notes what the cache said to the flight's request for a lease.
func (c *Coordinator) setClaim(f *flight, claim LeaseReply) {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.claim = claim
}

// isStale reports whether the flight's key was written since it began.
func (c *Coordinator) isStale(f *flight) bool {
	s := c.shard(f.key.name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.stale
}

// guardedFill runs store for a cache without leases: not if the flight is void,
// and a write to its key waits until store has returned. It reports whether
// store ran.
func (c *Coordinator) guardedFill(f *flight, store func()) bool {
	s := c.shard(f.key.name)
	s.mu.Lock()
	if f.void {
		s.mu.Unlock()
		return false
	}
	filling := make(chan struct{})
	f.filling = filling
	s.mu.Unlock()

	defer close(filling)
	store()
	return true
}

// finish gives the flight's outcome to everyone who waits for it.
func (c *Coordinator) finish(f *flight, value any, err error) {
	err = f.cause(err)
	s := c.shard(f.key.name)
	s.mu.Lock()
	s.dropLocked(f)
	if f.stale && !f.load.patient.Load() {
		value, err = nil, ErrInvalidated // its callers were told to start over
	}
	f.value, f.err, f.redo = value, err, f.depends.expired
	s.mu.Unlock()
	close(f.done)
}

// cause returns the error of the flight's load, or why the load was ended.
func (f *flight) cause(err error) error {
	if ended := f.load.ctx.Err(); ended != nil && errors.Is(err, ended) {
		return context.Cause(f.load.ctx) // the loader did as it was told
	}
	return err
}

func (c *Coordinator) started() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running++
}

// ended releases what the load holds, after its flights are finished.
func (l *load) ended() {
	l.cancel(nil)
	c := l.owner
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	if c.running == 0 && c.idle != nil {
		close(c.idle)
	}
}

// measured runs a loader and counts it, also if it panics or ends its
// goroutine.
func (c *Coordinator) measured(ctx context.Context, load func() error) (err error) {
	err = ErrLoaderGoexit
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
		c.loads.Add(1)
		if err != nil && !errors.Is(err, ErrNotFound) {
			c.loadErrors.Add(1)
		}
		c.observe(ctx, Event{Kind: EventLoad, Layer: "load", Duration: time.Since(start), Err: err})
	}()
	if err = load(); sentBack(err) {
		err = fmt.Errorf("larder: load: %w", err) // the loader's own: callers shall see it
	}
	return err
}

// shielded runs code of the cache or its codec on a load's goroutine, where a
// panic would end the process.
func shielded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
	}()
	return f()
}

func newPanicError(p any) error { return &LoaderPanicError{Value: p, Stack: debug.Stack()} }

// fillRefused notes that a load's result was not stored.
func (c *Coordinator) fillRefused(ctx context.Context, err error) {
	c.refused.Add(1)
	c.observe(ctx, Event{Kind: EventFillRefused, Layer: "load", Err: err})
}

// leaseLost notes that a load found the lease gone that it held.
func (c *Coordinator) leaseLost(ctx context.Context) {
	c.leasesLost.Add(1)
	c.observe(ctx, Event{Kind: EventLeaseLost, Layer: layerLoad})
}

func (c *Coordinator) noteUndecodable(ctx context.Context, err error) {
	c.undecodable.Add(1)
	c.observe(ctx, Event{Kind: EventUndecodable, Layer: "load", Err: err})
}

// held are the names that the loads around a context are loading, innermost
// first. A load that waits for one of them would wait for itself.
type held struct {
	by    *Coordinator
	names []string
	outer *held
}

type heldKey struct{}

func heldIn(ctx context.Context) *held {
	h, _ := ctx.Value(heldKey{}).(*held)
	return h
}

func isHeld(ctx context.Context, c *Coordinator, name string) bool {
	for h := heldIn(ctx); h != nil; h = h.outer {
		if h.by != c {
			continue
		}
		for _, n := range h.names {
			if n == name {
				return true
			}
		}
	}
	return false
}
