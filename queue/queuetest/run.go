package queuetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/queue"
)

// testCase checks one rule of the contract.
type testCase struct {
	name string
	rule string // the contract's words, printed when the case fails
	run  func(e *env)
}

// cases returns the whole suite, in the order in which it reads best.
func cases() []testCase {
	return slices.Concat(writeCases(), claimCases(), failureCases(), modeCases(), deadCases(),
		limitCases(), flushCases(), inputCases(), durableCases(), concurrentCases(), modelCases())
}

// Run tests that the queues which cfg.New returns keep the contract of package
// queue. Each case is a subtest, named after the rule it checks.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.New == nil {
		t.Fatal("queuetest: Config.New is nil")
	}
	all := cases()
	for name := range cfg.Skip {
		if !slices.ContainsFunc(all, func(c testCase) bool { return c.name == name }) {
			t.Errorf("queuetest: Config.Skip names no case: %s", name)
		}
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if reason, ok := cfg.Skip[c.name]; ok {
				t.Skip(reason)
			}
			switch failure := c.execute(t, cfg).(type) {
			case nil:
			case skipped:
				t.Skip(failure.reason)
			default:
				t.Errorf("%v\nThe rule: %s", failure, c.rule)
			}
		})
	}
}

// realTimeAttempts is how often a case is run in real time until it succeeds.
const realTimeAttempts = 3

// execute runs the case and returns what failed.
func (c testCase) execute(t *testing.T, cfg Config) (failure error) {
	if cfg.Unit == 0 {
		cfg.Unit = time.Second
		synctest.Test(t, func(t *testing.T) { failure = c.attempt(t, cfg, true) })
		return failure
	}
	for range realTimeAttempts {
		failure = c.attempt(t, cfg, false)
		if _, again := failure.(failed); !again {
			return failure
		}
		cfg.Unit *= 2
	}
	return failure
}

func (c testCase) attempt(t *testing.T, cfg Config, virtual bool) (failure error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failed:
			failure = p
		case skipped:
			failure = p
		default:
			panic(p)
		}
	}()
	c.run(&env{tb: t, cfg: cfg, ctx: t.Context(), unit: cfg.Unit, virtual: virtual})
	return nil
}

// failed and skipped end a case.
type (
	failed  struct{ text string }
	skipped struct{ reason string }
)

func (f failed) Error() string  { return f.text }
func (s skipped) Error() string { return s.reason }

// env is what a case works with.
type env struct {
	tb   testing.TB
	cfg  Config
	ctx  context.Context
	unit time.Duration

	virtual bool // time is
}

func (e *env) fail(format string, args ...any) { panic(failed{fmt.Sprintf(format, args...)}) }
func (e *env) skip(reason string)              { panic(skipped{reason}) }

func (e *env) must(err error, what string) {
	if err != nil {
		e.fail("%s: got error %v, want none", what, err)
	}
}

// wait lets n units pass.
func (e *env) wait(n float64) { time.Sleep(e.units(n)) }

func (e *env) units(n float64) time.Duration { return time.Duration(n * float64(e.unit)) }

// subject is a queue and what a case does with it.
type subject struct {
	*env
	queue.Queue
}

func (e *env) open() subject { return subject{e, e.cfg.New(e.tb)} }

// capability returns what q can do beyond Queue, or skips the case.
func capability[T any](s subject) T {
	c, ok := s.Queue.(T)
	if !ok {
		s.skip("the queue has no " + reflect.TypeFor[T]().Name())
	}
	return c
}

func (s subject) put(key, payload string) uint64 {
	return s.write(queue.Write{Key: key, Payload: []byte(payload)})
}

func (s subject) write(w queue.Write) uint64 {
	sequence, err := s.Enqueue(s.ctx, w)
	s.must(err, "Enqueue")
	return sequence
}

// long is a visibility that does not run out while a case runs.
const long = time.Hour

func (s subject) claim(limit int, visibility time.Duration) []queue.Claim {
	claims, err := s.Claim(s.ctx, queue.ClaimOptions{Max: limit, Visibility: visibility})
	s.must(err, "Claim")
	return claims
}

// claimOne claims the only item that is due, and checks its payload.
func (s subject) claimOne(payload string, visibility time.Duration) queue.Claim {
	claims := s.claim(10, visibility)
	if len(claims) != 1 {
		s.fail("Claim: got %d claims, want 1 of payload %q", len(claims), payload)
	}
	if got := string(claims[0].Payload); got != payload {
		s.fail("Claim: got payload %q, want %q", got, payload)
	}
	return claims[0]
}

func (s subject) claimNone(why string) {
	if claims := s.claim(10, long); len(claims) != 0 {
		s.fail("Claim: got %q, want nothing: %s", claims[0].Payload, why)
	}
}

func (s subject) settle(c queue.Claim, r queue.Result, after time.Duration, want queue.Settled) {
	got, err := s.Settle(s.ctx, []queue.Outcome{{Claim: c, Result: r, After: after, Reason: "no"}})
	s.must(err, "Settle")
	if len(got) != 1 || got[0] != want {
		s.fail("Settle(%v): got %v, want %v", r, got, want)
	}
}

func (s subject) look(key string) queue.State {
	states, err := s.Lookup(s.ctx, []string{key})
	s.must(err, "Lookup")
	if len(states) != 1 {
		s.fail("Lookup: got %d states, want 1", len(states))
	}
	return states[0]
}

// newest checks what readers find under key: "" is nothing.
func (s subject) newest(key, payload string) {
	got := ""
	if it := s.look(key).Newest(); it != nil {
		got = string(it.Payload)
		if it.Key != key {
			s.fail("Lookup: got an item of another key")
		}
	}
	if got != payload {
		s.fail("Lookup: got %q, want %q", got, payload)
	}
}

func (s subject) stats() queue.Stats {
	st, err := s.Stats(s.ctx)
	s.must(err, "Stats")
	return st
}
