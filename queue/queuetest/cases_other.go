package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

func limitCases() []testCase {
	return []testCase{
		{"Limit/full", "A queue without room refuses a write and changes nothing; a write that needs no more room is accepted.", func(e *env) {
			s := e.limited(2)
			s.put("a", "1")
			s.put("b", "1")
			if _, err := s.Enqueue(e.ctx, queue.Write{Key: "c"}); !errors.Is(err, queue.ErrFull) {
				e.fail("Enqueue: got %v, want ErrFull", err)
			}
			s.newest("c", "")
			s.put("b", "2")
			s.newest("b", "2")
			if st := s.stats(); st.Queued != 2 || st.Rejected != 1 {
				e.fail("Stats: got %d queued, %d rejected; want 2, 1", st.Queued, st.Rejected)
			}
			claims := s.claim(1, long)
			if _, err := s.Enqueue(e.ctx, queue.Write{Key: claims[0].Key}); !errors.Is(err, queue.ErrFull) {
				e.fail("Enqueue behind what is being written: got %v, want ErrFull", err)
			}
			s.settle(claims[0], queue.Done, 0, queue.SettledDone)
			s.put("c", "1")
		}},
		{"Limit/dead letters count", "Dead letters take room until they are dropped.", func(e *env) {
			s := e.limited(1)
			letters := capability[queue.DeadLetters](s)
			c := s.kill("a", "1")
			if _, err := s.Enqueue(e.ctx, queue.Write{Key: "b"}); !errors.Is(err, queue.ErrFull) {
				e.fail("Enqueue: got %v, want ErrFull", err)
			}
			e.must(letters.Drop(e.ctx, "a", c.Sequence), "Drop")
			s.put("b", "2")
		}},
		{"Limit/too large", "A write that can never fit is told so.", func(e *env) {
			if e.cfg.TooLarge == 0 {
				e.skip("no write is too large")
			}
			s := e.open()
			_, err := s.Enqueue(e.ctx, queue.Write{Key: "a", Payload: make([]byte, e.cfg.TooLarge)})
			if !errors.Is(err, queue.ErrTooLarge) {
				e.fail("Enqueue: got %v, want ErrTooLarge", err)
			}
			s.newest("a", "")
		}},
	}
}

func (e *env) limited(items int) subject {
	if e.cfg.NewLimited == nil {
		e.skip("the queue has no limit")
	}
	return subject{e, e.cfg.NewLimited(e.tb, items)}
}

func flushCases() []testCase {
	return []testCase{
		{"Flush/counts what was before", "Before counts the items that hold a write from before the barrier, those that newer writes joined included.", func(e *env) {
			s := e.open()
			flusher := capability[queue.Flusher](s)
			s.put("a", "1")
			s.put("b", "1")
			barrier, err := flusher.Barrier(e.ctx)
			e.must(err, "Barrier")
			s.put("c", "1")
			s.put("a", "2")
			s.before(flusher, barrier, 2)
			for _, c := range s.claim(10, long) {
				s.before(flusher, barrier, map[string]int{"a": 2, "b": 1, "c": 0}[c.Key])
				s.settle(c, queue.Done, 0, queue.SettledDone)
			}
			s.before(flusher, barrier, 0)
		}},
		{"Flush/waits for what failed", "An item that failed, or was replaced by a newer one, is still before the barrier; one behind it that came later is not.", func(e *env) {
			s := e.open()
			flusher := capability[queue.Flusher](s)
			s.put("a", "1")
			barrier, err := flusher.Barrier(e.ctx)
			e.must(err, "Barrier")
			c := s.claimOne("1", long)
			s.put("a", "2")
			s.before(flusher, barrier, 1)
			s.settle(c, queue.Failed, 0, queue.SettledReplaced)
			s.before(flusher, barrier, 1)
			c = s.claimOne("2", long)
			s.put("a", "3")
			s.settle(c, queue.Done, 0, queue.SettledDone)
			s.before(flusher, barrier, 0)
		}},
		{"Flush/does not wait for the dead", "Dead letters, and what is parked behind them, do not count.", func(e *env) {
			s := e.open()
			flusher := capability[queue.Flusher](s)
			s.killParked(e)
			barrier, err := flusher.Barrier(e.ctx)
			e.must(err, "Barrier")
			s.before(flusher, barrier, 0)
		}},
	}
}

func (s subject) before(f queue.Flusher, b queue.Barrier, want int) {
	got, err := f.Before(s.ctx, b)
	s.must(err, "Before")
	if got != want {
		s.fail("Before: got %d, want %d", got, want)
	}
}

func inputCases() []testCase {
	return []testCase{
		{"Input/keys", "Invalid keys are refused, and nothing changes.", func(e *env) {
			s := e.open()
			for key, want := range map[string]error{
				"": cache.ErrInvalidKey, strings.Repeat("k", cache.MaxKeyLength+1): cache.ErrKeyTooLong, cache.ReservedPrefix + "x": cache.ErrInvalidKey,
			} {
				if _, err := s.Enqueue(e.ctx, queue.Write{Key: key}); !errors.Is(err, want) {
					e.fail("Enqueue of a bad key: got %v, want %v", err, want)
				}
			}
			s.put(strings.Repeat("k", cache.MaxKeyLength), "1")
			s.claimOne("1", long)
		}},
		{"Input/options", "Options that make no sense are refused.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			_, mode := s.Enqueue(e.ctx, queue.Write{Key: "a", Mode: queue.Merge + 1})
			_, onto := s.Enqueue(e.ctx, queue.Write{Key: "a", Onto: 1})
			_, limit := s.Claim(e.ctx, queue.ClaimOptions{Visibility: long})
			_, visibility := s.Claim(e.ctx, queue.ClaimOptions{Max: 1})
			c := s.claimOne("1", long)
			_, result := s.Settle(e.ctx, []queue.Outcome{{Claim: c, Result: queue.Done}, {Claim: c}})
			_, after := s.Settle(e.ctx, []queue.Outcome{{Claim: c, Result: queue.Failed, After: -1}})
			for name, err := range map[string]error{"mode": mode, "onto": onto, "max": limit, "visibility": visibility, "result": result, "after": after} {
				if !errors.Is(err, cache.ErrInvalidConfig) {
					e.fail("%s: got %v, want ErrInvalidConfig", name, err)
				}
			}
			s.settle(c, queue.Done, 0, queue.SettledDone)
		}},
		{"Input/contexts", "A context that has ended is its error, none is ErrNilContext, and nothing changes.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			c := s.claimOne("1", long)
			ended, cancel := context.WithCancel(e.ctx)
			cancel()
			for want, ctx := range map[error]context.Context{context.Canceled: ended, cache.ErrNilContext: nil} {
				_, enqueue := s.Enqueue(ctx, queue.Write{Key: "b"})
				_, lookup := s.Lookup(ctx, []string{"a"})
				_, claim := s.Claim(ctx, queue.ClaimOptions{Max: 1, Visibility: long})
				_, settle := s.Settle(ctx, []queue.Outcome{{Claim: c, Result: queue.Done}})
				_, stats := s.Stats(ctx)
				for name, err := range map[string]error{"Enqueue": enqueue, "Lookup": lookup, "Claim": claim, "Settle": settle, "Stats": stats} {
					if !errors.Is(err, want) {
						e.fail("%s: got %v, want %v", name, err, want)
					}
				}
			}
			s.newest("b", "")
			s.newest("a", "1")
		}},
		{"Input/nothing", "Nothing to look up or to settle is no error.", func(e *env) {
			s := e.open()
			states, err := s.Lookup(e.ctx, nil)
			e.must(err, "Lookup")
			settled, err := s.Settle(e.ctx, nil)
			e.must(err, "Settle")
			if len(states)+len(settled) != 0 {
				e.fail("got %d states and %d settled, want none", len(states), len(settled))
			}
			s.claimNone("nothing is queued")
		}},
	}
}

func durableCases() []testCase {
	return []testCase{
		{"Durable/survives its process", "What was accepted is there after the process died: waiting, claimed and dead.", func(e *env) {
			if e.cfg.Reopen == nil {
				e.skip("the queue does not outlive its process")
			}
			s := e.open()
			capability[queue.DeadLetters](s)
			dead := s.kill("dead", "3")
			s.put("claimed", "1")
			claimed := s.claimOne("1", e.units(3))
			behind := s.put("claimed", "2")
			open := s.put("open", "4")

			s.Queue = e.cfg.Reopen(e.tb, s.Queue)
			s.newest("claimed", "2")
			s.newest("open", "4")
			if got := s.claimOne("4", long); got.Sequence != open {
				e.fail("Claim: got sequence %d, want %d", got.Sequence, open)
			}
			s.settle(claimed, queue.Failed, 0, queue.SettledReplaced)
			if got := s.claimOne("2", long); got.Sequence != behind || got.First != claimed.Sequence {
				e.fail("Claim: got sequence %d, first %d; want %d, %d", got.Sequence, got.First, behind, claimed.Sequence)
			}
			letters := capability[queue.DeadLetters](s)
			e.must(letters.Revive(e.ctx, "dead", dead.Sequence), "Revive")
			s.settle(s.claimOne("3", long), queue.Done, 0, queue.SettledDone)
			if again := s.put("dead", "5"); again <= dead.Sequence {
				e.fail("Enqueue: got sequence %d after %d, want a higher one", again, dead.Sequence)
			}
		}},
		{"Durable/claims of the dead run out", "What a process that died had claimed is due when the claim runs out.", func(e *env) {
			if e.cfg.Reopen == nil {
				e.skip("the queue does not outlive its process")
			}
			s := e.open()
			for i := range 3 {
				s.put(fmt.Sprint("key", i), "x")
			}
			s.claim(10, e.units(2))
			s.Queue = e.cfg.Reopen(e.tb, s.Queue)
			s.claimNone("their visibility has not passed")
			e.wait(2.5)
			if got := len(s.claim(10, long)); got != 3 {
				e.fail("Claim: got %d, want 3", got)
			}
		}},
	}
}
