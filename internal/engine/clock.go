package engine

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// clock shows nanoseconds since its start: exactly, or as of a moment ago for
// next to nothing.
//
// The cached time is good for clockPeriod: the first one who finds it outdated
// reads the clock, writes it down, and sets a timer that outdates it again. So
// a clock that nobody reads costs nothing. A timer that is late makes the cached
// time older than that; whoever decides by it leaves clockMargin for that.
//
// A clock does not refer to its engine, and the timer not longer than for its
// period, so neither keeps an engine in memory.
type clock struct {
	start  time.Time
	cached atomic.Int64 // outdated: none

	mu    sync.Mutex
	timer *time.Timer
}

const (
	clockPeriod = 50 * time.Millisecond
	clockMargin = time.Second

	// outdated is later than any deadline that is not Never, so a comparison
	// with the cached time fails without one more for this case.
	outdated = math.MaxInt64 - 2*int64(clockMargin)
)

func newClock(start time.Time) *clock {
	c := &clock{start: start}
	c.cached.Store(outdated)
	return c
}

// now reads the clock.
func (c *clock) now() int64 { return int64(time.Since(c.start)) }

// before reports whether it is before deadline: by the cached time if that
// leaves no doubt, and else exactly.
//
// An outdated time is before Never by more than the margin, so that needs no
// comparison of its own.
func (c *clock) before(deadline int64) bool {
	return c.cached.Load() < deadline-int64(clockMargin) || c.exact() < deadline
}

// exact reads the clock, and writes the time down if that is due.
func (c *clock) exact() int64 {
	if c.cached.Load() == outdated {
		return c.refresh()
	}
	return c.now()
}

// coarse returns the time, or what it was up to clockPeriod ago.
func (c *clock) coarse() int64 {
	if t := c.cached.Load(); t != outdated {
		return t
	}
	return c.refresh()
}

// refresh reads the clock and writes it down. The timer is running before the
// time can be seen.
func (c *clock) refresh() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cached.Load() == outdated {
		if c.timer == nil {
			c.timer = time.AfterFunc(clockPeriod, c.outdate)
		} else {
			c.timer.Reset(clockPeriod)
		}
	}
	t := c.now()
	c.cached.Store(t)
	return t
}

func (c *clock) outdate() {
	c.mu.Lock()
	c.cached.Store(outdated)
	c.mu.Unlock()
}

func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.cached.Store(outdated)
}
