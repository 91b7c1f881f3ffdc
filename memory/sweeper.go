package memory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// sweeper is what the cache does by itself, on the goroutines of timers, so that
// none waits: it drops leases, marks and forced locks that ran out, and reports
// what the engine found expired. Its timer refers to the cache weakly, so a
// cache that nobody else refers to is collected.
type sweeper struct {
	// Immutable.
	wakeUp func()
	now    func() int64

	armed atomic.Int64 // when the timer fires, a multiple of sweepStep; never: it does not

	mu      sync.Mutex
	timer   *time.Timer
	running int
	closed  bool
	idle    chan struct{} // closed when closed is set and nothing runs
}

// sweepStep is how much later than it ran out a lease is dropped, at most. Until
// then it takes memory, and means nothing.
const sweepStep = int64(time.Second)

func newSweeper(c *Cache) *sweeper {
	ref := weak.Make(c)
	s := &sweeper{now: c.now, idle: make(chan struct{})}
	s.wakeUp = func() {
		if c := ref.Value(); c != nil {
			c.sweep()
		}
	}
	s.armed.Store(never)
	return s
}

// expect has the timer fire soon after a time at which something runs out. It
// is called when that can be found already. It usually costs an atomic read.
func (s *sweeper) expect(at int64) {
	if at > never-sweepStep {
		return
	}
	at = (at/sweepStep + 1) * sweepStep
	if at >= s.armed.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || at >= s.armed.Load() {
		return
	}
	s.armed.Store(at)
	wait := time.Duration(at - s.now())
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.wakeUp)
	} else {
		s.timer.Reset(wait)
	}
}

// run calls work, unless the sweeper was stopped. stop waits for it.
func (s *sweeper) run(work func()) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.running++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.running--
		s.endLocked()
		s.mu.Unlock()
	}()
	work()
}

// endLocked closes idle once nothing runs any more.
func (s *sweeper) endLocked() {
	if s.closed && s.running == 0 {
		close(s.idle)
		s.running = -1 // once
	}
}

// stop waits for what runs, until ctx ends. It is idempotent.
func (s *sweeper) stop(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.endLocked()
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	default:
	}
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sweep drops the leases that ran out. Who grants one calls expect afterwards,
// so either the search below finds it, or expect sees that no timer is set.
func (c *Cache) sweep() {
	c.sweeper.run(func() {
		c.sweeper.armed.Store(never)
		c.leases.sweep(c.now())
		c.sweeper.expect(c.leases.next())
	})
}

// tidied is called by the engine after it reclaimed what expired.
func (c *Cache) tidied() { c.sweeper.run(c.settle) }
