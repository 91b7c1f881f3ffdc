package near

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/ticks"
)

// contact knows until when what is held may be served.
//
// Every change that the server had made at asOf has been heard of here. So what
// is held was true at asOf, and may be served for the bound from then on. A hit
// compares the clock, read within its own call, so neither a late timer nor a
// process that was stopped can stretch it. That reading is more than half of what a
// hit takes; but whatever is kept up to date in memory instead, a flag or a cached
// time, is as old as a stop was long when readers go on before timers run.
type contact struct {
	// Immutable.
	cache *Cache
	begun chan struct{} // closed once there is a listener
	clock *ticks.Clock  // the local tier's, but up to a thousandth of a heartbeat later

	until atomic.Int64 // on the local tier's clock; math.MaxInt64: always; 0: not now

	mu      sync.Mutex
	state   State
	asOf    time.Time
	lag     time.Duration // of asOf, when it was heard
	since   time.Time     // when state began
	lostErr error
	losses  uint64
}

// State is what a near cache hears of changes.
type State uint8

const (
	// Connecting: nothing yet.
	Connecting State = iota
	// Connected: everything, as of a moment ago.
	Connected
	// Lost: nothing since the connection was lost.
	Lost
	// Unsupported: nothing, for the server cannot tell. Values are held for the
	// bound.
	Unsupported
)

// String returns the state as a metric would name it.
func (s State) String() string {
	switch s {
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Lost:
		return "lost"
	case Unsupported:
		return "unsupported"
	}
	return "unknown"
}

func (t *contact) init(c *Cache) {
	t.cache, t.begun, t.since = c, make(chan struct{}), time.Now()
	t.clock = ticks.New(t.since.Add(-c.local.Since(t.since)))
}

// made hears that everything is known that the server had changed at asOf.
// Unless that was so before, what was fetched meanwhile is not to be held: a
// change of it may not have been told.
func (t *contact) made(asOf time.Time) {
	c := t.cache
	t.mu.Lock()
	restored := t.state != Connected
	t.mu.Unlock()
	if restored {
		t.until.Store(0)
		c.flush()
	}
	now := time.Now()
	t.mu.Lock()
	was := t.since
	t.asOf, t.lag = asOf, now.Sub(asOf)
	if restored {
		t.state, t.since, t.lostErr = Connected, now, nil
	}
	t.mu.Unlock()
	t.clock.Calibrate()
	t.until.Store(max(1, int64(c.local.Since(asOf)+c.bound)))
	if restored {
		c.observe(context.Background(), cache.Event{Kind: cache.EventNearContact, Duration: now.Sub(was)})
	}
}

// lost hears that nothing is promised until the next contact. A server that
// cannot tell of changes at all leaves the bound to do its work.
func (t *contact) lost(err error) {
	c := t.cache
	<-t.begun
	state, until := Lost, int64(0)
	if yes, known := c.listener.Supported(); known && !yes {
		state = Unsupported
		if c.mode == Bounded {
			until = math.MaxInt64
		}
	}
	t.mu.Lock()
	news := t.state != state
	if t.state == Connected {
		t.losses++
	}
	if news {
		t.state, t.since = state, time.Now()
	}
	t.lostErr = err
	t.mu.Unlock()
	if !news {
		return
	}
	t.until.Store(0)
	c.flush()
	t.until.Store(until)
	c.observe(context.Background(), cache.Event{Kind: cache.EventNearLost, Err: err, Detail: state.String()})
}

// hold is how long a value that is fetched now may be held at most, besides the
// life of its entry; 0: it cannot be, negative: there is no limit.
func (t *contact) hold() time.Duration {
	t.mu.Lock()
	state := t.state
	t.mu.Unlock()
	switch {
	case state == Connected || t.cache.mode == Validate:
		return -1
	case state == Unsupported && t.cache.mode == Bounded:
		return t.cache.bound
	}
	return 0
}
