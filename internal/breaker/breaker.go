// Package breaker keeps callers away from a server that does not answer.
//
// A [Breaker] watches calls. It opens when they fail in a row, or when one
// times out and no other has succeeded since it began; while it is open, calls
// are refused in nanoseconds. It then asks the server by itself, at growing
// intervals, and closes at the first answer: no caller ever pays for a probe.
//
// There is no failure ratio. A server that answers some calls is better asked
// than not, and one that answers none shows it at the first timeout.
package breaker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// State is what a Breaker does with calls.
type State uint8

const (
	// Closed: calls go through.
	Closed State = iota
	// Open: calls are refused.
	Open
	// HalfOpen: calls are refused, and the server is being asked.
	HalfOpen
)

// String returns "closed", "open" or "half-open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half-open"
	}
	return "unknown"
}

// ErrOpen is the cause of a call that was refused.
var ErrOpen = errors.New("breaker is open")

// Defaults of Options.
const (
	DefaultFailures = 3
	DefaultMinOpen  = 100 * time.Millisecond
	DefaultMaxOpen  = time.Second
)

// Options tune a Breaker. The zero value is ready to use.
type Options struct {
	// Failures is how many calls in a row must fail, with no success between
	// them, to open the breaker. Zero means 3; a negative number means that
	// failures never open it.
	Failures int

	// MinOpen is the pause before the first probe, and MaxOpen the longest
	// pause between probes: each is half as long again as the one before, and up
	// to a quarter shorter by chance. A probe that goes unanswered is a part of
	// the pause before the next. Zero means 100 ms and 1 s.
	MinOpen, MaxOpen time.Duration
}

func (o Options) withDefaults() Options {
	if o.Failures == 0 {
		o.Failures = DefaultFailures
	}
	if o.MinOpen <= 0 {
		o.MinOpen = DefaultMinOpen
	}
	if o.MaxOpen <= 0 {
		o.MaxOpen = DefaultMaxOpen
	}
	o.MaxOpen = max(o.MaxOpen, o.MinOpen)
	return o
}

// Breaker is safe for concurrent use.
type Breaker struct {
	opts     Options
	probe    func(context.Context) error
	onChange func(State)
	ctx      context.Context
	stop     context.CancelFunc
	probing  sync.WaitGroup

	state     atomic.Uint32
	successes atomic.Uint64 // also the mark that a call carries
	failures  atomic.Int64  // since the last success

	asked time.Time // when the last probe began; confined to run

	mu       sync.Mutex
	closed   bool // by Close
	running  bool // whether run is
	pause    time.Duration
	closedAt time.Time
}

// New returns a closed breaker. probe asks the server one harmless question; it
// must return when its context ends. onChange, unless nil, hears of each change
// of state, one at a time and in order, shortly afterwards; it must not block.
func New(opts Options, probe func(context.Context) error, onChange func(State)) *Breaker {
	ctx, stop := context.WithCancel(context.Background())
	return &Breaker{opts: opts.withDefaults(), probe: probe, onChange: onChange, ctx: ctx, stop: stop}
}

// State returns what the breaker does now.
func (b *Breaker) State() State { return State(b.state.Load()) }

// Allow reports whether a call may go ahead. The mark is for the Fail or
// TimedOut that may end the call. It costs two atomic loads.
func (b *Breaker) Allow() (mark uint64, ok bool) {
	return b.successes.Load(), b.State() == Closed
}

// Succeed notes that the server answered a call.
func (b *Breaker) Succeed() {
	b.successes.Add(1)
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
}

// Fail notes that a call failed for a reason that says the server is unusable.
func (b *Breaker) Fail() {
	if n := b.failures.Add(1); b.opts.Failures > 0 && n >= int64(b.opts.Failures) {
		b.open()
	}
}

// TimedOut notes that a call got no answer in its time. If nobody has had one
// since the call's Allow, the breaker opens at once; else it is as Fail.
func (b *Breaker) TimedOut(mark uint64) {
	if b.opts.Failures > 0 && b.successes.Load() == mark {
		b.open()
		return
	}
	b.Fail()
}

func (b *Breaker) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.State() != Closed {
		return
	}
	if b.pause == 0 || time.Since(b.closedAt) > b.opts.MaxOpen {
		b.pause = b.opts.MinOpen
	}
	b.state.Store(uint32(Open))
	if !b.running {
		b.running = true
		b.probing.Go(b.run)
	}
}

// run probes while the breaker is not closed. It alone tells onChange, so that
// no lock is held meanwhile and the order is right.
func (b *Breaker) run() {
	for {
		b.tell(Open)
		since := time.Now()
		for !b.ask(since) {
			if b.ctx.Err() != nil {
				return
			}
			since = b.asked
		}
		b.close()
		b.tell(Closed)
		if b.rest() {
			return
		}
	}
}

func (b *Breaker) tell(s State) {
	if b.onChange != nil {
		b.onChange(s)
	}
}

// ask pauses, counted from since, and then probes. It reports whether the server
// answered.
func (b *Breaker) ask(since time.Time) bool {
	timer := time.NewTimer(b.nextPause() - time.Since(since))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-b.ctx.Done():
		return false
	}
	b.state.Store(uint32(HalfOpen))
	b.tell(HalfOpen)
	b.asked = time.Now()
	if b.probe(b.ctx) == nil {
		return true
	}
	b.state.Store(uint32(Open))
	b.tell(Open)
	return false
}

func (b *Breaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures.Store(0)
	b.closedAt = time.Now()
	b.state.Store(uint32(Closed))
}

// rest reports whether run may end. It may not if the breaker opened again
// since it closed.
func (b *Breaker) rest() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = b.State() != Closed && !b.closed
	return !b.running
}

// nextPause returns how long to wait now, and lets the next one grow.
func (b *Breaker) nextPause() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pause
	b.pause = min(p+p/2, b.opts.MaxOpen)
	return p - time.Duration(rand.Float64()*float64(p)/4)
}

// Close ends the probing and waits for it until ctx ends. The state stays as it
// is. It is idempotent.
func (b *Breaker) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	done := make(chan struct{})
	go func() {
		b.probing.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
