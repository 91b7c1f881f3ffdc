package breaker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a breaker in front of a server that is well or not.
type rig struct {
	*Breaker
	mu     sync.Mutex
	well   bool
	probes []time.Duration // when, since the start
	states []State
}

func newRig(t *testing.T, opts Options) *rig {
	r := &rig{}
	start := time.Now()
	r.Breaker = New(opts, func(ctx context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.probes = append(r.probes, time.Since(start))
		if !r.well {
			return errors.New("not well")
		}
		return nil
	}, func(s State) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.states = append(r.states, s)
	})
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) set(well bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.well = well
}

func TestFailuresInARowOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Failures: 3})
		for i := range 10 {
			r.Fail()
			r.Fail()
			r.Succeed()
			if r.State() != Closed {
				t.Fatalf("round %d: open after two failures and a success", i)
			}
		}
		r.Fail()
		r.Fail()
		r.Fail()
		if _, ok := r.Allow(); ok || r.State() != Open {
			t.Errorf("state %v, calls allowed: %t after three failures in a row", r.State(), ok)
		}
	})
}

func TestTimeoutOpensAtOnceOnlyWithoutSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		mark, _ := r.Allow()
		r.Succeed() // somebody else's call, meanwhile
		r.TimedOut(mark)
		if r.State() != Closed {
			t.Error("one slow call opened a breaker whose server answers others")
		}
		mark, _ = r.Allow()
		r.TimedOut(mark)
		if r.State() != Open {
			t.Error("closed after a timeout without any answer since its call began")
		}
	})
}

func TestProbesCloseWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Failures: 1})
		r.Fail()
		time.Sleep(10 * time.Second)
		r.set(true)
		time.Sleep(DefaultMaxOpen + time.Millisecond)
		if _, ok := r.Allow(); !ok {
			t.Errorf("state %v a full pause after the server was well again", r.State())
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if first := r.probes[0]; first < 75*time.Millisecond || first > 100*time.Millisecond {
			t.Errorf("first probe after %v, want 75ms to 100ms", first)
		}
		for i := 1; i < len(r.probes); i++ {
			if pause := r.probes[i] - r.probes[i-1]; pause > DefaultMaxOpen {
				t.Errorf("pause %d was %v, longer than %v", i, pause, DefaultMaxOpen)
			}
		}
		if n := len(r.probes); n < 9 || n > 16 {
			t.Errorf("%d probes in 10s, want growing pauses", n)
		}
		if got := r.states; got[0] != Open || got[1] != HalfOpen || got[len(got)-1] != Closed {
			t.Errorf("states %v", got)
		}
	})
}

// A probe that was lost with the fault must not be followed by a pause of its own:
// recovery would take both.
func TestAProbeWithoutAnAnswerIsPartOfThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var well atomic.Bool
		b := New(Options{Failures: 1}, func(ctx context.Context) error {
			if well.Load() {
				return nil
			}
			time.Sleep(DefaultMaxOpen) // what it asked is lost, whatever happens meanwhile
			return errors.New("no answer")
		}, nil)
		defer func() { _ = b.Close(context.Background()) }()
		b.Fail()
		for outage := time.Second; outage < 15*time.Second; outage += 370 * time.Millisecond {
			well.Store(false)
			b.Fail()
			time.Sleep(outage)
			well.Store(true)
			time.Sleep(DefaultMaxOpen + time.Millisecond)
			if b.State() != Closed {
				t.Fatalf("%v a full pause after the end of an outage of %v", b.State(), outage)
			}
		}
	})
}

func TestPausesGoOnGrowingIfItReopensSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Failures: 1, MinOpen: 100 * time.Millisecond, MaxOpen: time.Second})
		r.set(true)
		var pauses []time.Duration
		for range 8 {
			start := time.Now()
			r.Fail()
			for r.State() != Closed {
				time.Sleep(time.Millisecond)
			}
			pauses = append(pauses, time.Since(start))
		}
		if last := pauses[7]; last < 700*time.Millisecond {
			t.Errorf("pauses %v: the last is no longer than the first", pauses)
		}
		time.Sleep(2 * time.Second) // well for longer than MaxOpen
		start := time.Now()
		r.Fail()
		for r.State() != Closed {
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(start); d > 101*time.Millisecond {
			t.Errorf("a new failure opened it for %v, want MinOpen", d)
		}
	})
}

func TestNegativeFailuresNeverOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Failures: -1})
		mark, _ := r.Allow()
		for range 100 {
			r.Fail()
			r.TimedOut(mark)
		}
		if r.State() != Closed {
			t.Errorf("state %v", r.State())
		}
	})
}

func TestCloseEndsProbing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		b := New(Options{Failures: 1}, func(ctx context.Context) error {
			close(hung)
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		b.Fail()
		<-hung
		for range 2 {
			if err := b.Close(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		b.Fail() // starts nothing: goleak would see it
	})
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.set(true)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 500 {
					mark, ok := r.Allow()
					switch {
					case !ok:
						time.Sleep(time.Millisecond)
					case (i+g)%5 == 0:
						r.TimedOut(mark)
					case (i+g)%3 == 0:
						r.Fail()
					default:
						r.Succeed()
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		if r.State() != Closed {
			t.Errorf("state %v at the end", r.State())
		}
		// Every change was told, in order: the states form the one possible circle.
		r.mu.Lock()
		defer r.mu.Unlock()
		next := map[State][]State{Closed: {Open}, Open: {HalfOpen}, HalfOpen: {Open, Closed}}
		last := Closed
		for i, s := range r.states {
			if !slices.Contains(next[last], s) {
				t.Fatalf("change %d went from %v to %v", i, last, s)
			}
			last = s
		}
	})
}
