package ticks

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock tells how long it has been since its start: as time.Since does, or later by
// a thousandth of the time since the last Calibrate. It never tells less than
// has passed. It starts no goroutine.
type Clock struct {
	start time.Time             // immutable
	scale atomic.Pointer[scale] // nil: the counter cannot be relied on

	mu    sync.Mutex
	meter meter
}

// New returns a clock that began at start, a time with a monotonic reading. Until it
// was calibrated a few times it is time.Since.
func New(start time.Time) *Clock { return &Clock{start: start} }

// Now returns the nanoseconds since the start.
func (c *Clock) Now() int64 {
	if s := c.scale.Load(); s != nil {
		// A counter that was set back has passed a lot, and so do those of other
		// cores that are behind.
		if passed := counter() - s.from; passed < maxPassed {
			return s.at + int64(passed*s.perTick>>shift)
		}
	}
	return c.read()
}

func (c *Clock) read() int64 { return int64(time.Since(c.start)) }

// Calibrate compares the counter with the kernel's clock. It is to be called now
// and then, at least each ten seconds: else Now is time.Since again. Where the
// counter does not keep time with the clock, as in a synctest bubble, it is not
// used.
func (c *Clock) Calibrate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := counter()
	at := c.read()
	s := c.meter.note(before, at, counter())
	if s != nil && c.scale.Load() == nil && !counts() {
		s = nil
	}
	c.scale.Store(s)
}
