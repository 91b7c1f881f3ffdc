package queuetest

import (
	"errors"
	"fmt"

	"github.com/larder-go/larder/queue"
)

func modeCases() []testCase {
	parked := func(key, payload string) queue.Write {
		return queue.Write{Key: key, Payload: []byte(payload), Mode: queue.Park}
	}
	merged := func(payload string, onto uint64) queue.Write {
		return queue.Write{Key: "a", Payload: []byte(payload), Mode: queue.Merge, Onto: onto}
	}
	return []testCase{
		{"Park/stays behind", "A parked write waits behind one that failed, and replaces what is open.", func(e *env) {
			s := e.open()
			s.write(parked("a", "1"))
			s.write(parked("a", "2"))
			c := s.claimOne("2", long)
			s.write(parked("a", "3"))
			s.settle(c, queue.Failed, 0, queue.SettledQueued)
			s.write(parked("a", "4"))
			s.newest("a", "4")
			c = s.claimOne("2", long)
			if c.Attempt != 2 {
				e.fail("Claim: got attempt %d, want 2", c.Attempt)
			}
			s.settle(c, queue.Done, 0, queue.SettledDone)
			if c = s.claimOne("4", long); c.Writes != 2 {
				e.fail("Claim: got %d writes, want 2", c.Writes)
			}
		}},
		{"Park/behind one whose worker died", "What was claimed once keeps its place.", func(e *env) {
			s := e.open()
			s.write(parked("a", "1"))
			s.claimOne("1", e.units(0.5))
			s.write(parked("a", "2"))
			e.wait(1)
			s.settle(s.claimOne("1", long), queue.Done, 0, queue.SettledDone)
			s.claimOne("2", long)
		}},
		{"Merge/onto what is open", "A merge replaces the open item it names, and nothing else.", func(e *env) {
			s := e.open()
			one := s.write(merged("1", 0))
			for _, onto := range []uint64{0, one + 1} {
				if _, err := s.Enqueue(e.ctx, merged("x", onto)); !errors.Is(err, queue.ErrConflict) {
					e.fail("Enqueue onto another sequence: got %v, want ErrConflict", err)
				}
			}
			two := s.write(merged("1+2", one))
			if st := s.look("a"); st.Open == nil || st.Open.Sequence != two || string(st.Open.Payload) != "1+2" {
				e.fail("Lookup: got %+v, want the merged write open", st)
			}
			s.claimOne("1+2", long)
			if _, err := s.Enqueue(e.ctx, merged("1+2+3", two)); !errors.Is(err, queue.ErrConflict) {
				e.fail("Enqueue onto what is being written: got %v, want ErrConflict", err)
			}
			s.write(merged("3", 0))
			st := s.look("a")
			if st.Ahead == nil || st.Open == nil || string(st.Ahead.Payload) != "1+2" || string(st.Open.Payload) != "3" {
				e.fail("Lookup: got %+v, want 1+2 ahead and 3 open", st)
			}
		}},
		{"Merge/what the source may have stays apart", "A merge is never onto an item that was claimed: the source may have it.", func(e *env) {
			s := e.open()
			one := s.write(merged("1", 0))
			s.settle(s.claimOne("1", long), queue.Failed, 0, queue.SettledQueued)
			if _, err := s.Enqueue(e.ctx, merged("1+2", one)); !errors.Is(err, queue.ErrConflict) {
				e.fail("Enqueue onto a failed write: got %v, want ErrConflict", err)
			}
			s.write(merged("2", 0))
			c := s.claimOne("1", long)
			if c.Sequence != one {
				e.fail("Claim: got sequence %d, want that of before, %d", c.Sequence, one)
			}
			s.settle(c, queue.Done, 0, queue.SettledDone)
			s.claimOne("2", long)
		}},
		{"Merge/nothing is queued", "A merge onto nothing is accepted after the last item left.", func(e *env) {
			s := e.open()
			one := s.write(merged("1", 0))
			s.settle(s.claimOne("1", long), queue.Done, 0, queue.SettledDone)
			if _, err := s.Enqueue(e.ctx, merged("1+2", one)); !errors.Is(err, queue.ErrConflict) {
				e.fail("Enqueue onto what is gone: got %v, want ErrConflict", err)
			}
			s.write(merged("2", 0))
		}},
	}
}

func deadCases() []testCase {
	return []testCase{
		{"Dead/set aside", "A dead item is listed with its payload and reason, is not claimed, not seen by readers, and keeps no other key waiting.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			c := s.kill("a", "1")
			s.claimNone("it is dead")
			s.newest("a", "")
			if !s.look("a").Dead {
				e.fail("Lookup: got no dead letter, want one")
			}
			e.wait(1)
			got, err := letters.Dead(e.ctx, "", 10)
			e.must(err, "Dead")
			if len(got) != 1 || got[0].Key != "a" || string(got[0].Payload) != "1" || got[0].Sequence != c.Sequence ||
				got[0].Attempts != 1 || got[0].Reason != "no" || got[0].Since < e.units(0.9) {
				e.fail("Dead: got %+v, want the item that was killed", got)
			}
			if st := s.stats(); st.Dead != 1 || st.Queued != 0 || st.Buried != 1 || st.Oldest != 0 {
				e.fail("Stats: got %+v, want 1 dead and nothing queued", st)
			}
			s.put("b", "2")
			s.claimOne("2", long)
		}},
		{"Dead/retried", "A dead letter that is retried is the item it was, with attempts counted anew.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			c := s.kill("a", "1")
			for _, sequence := range []uint64{c.Sequence - 1, c.Sequence + 1} {
				if err := letters.Revive(e.ctx, "a", sequence); !errors.Is(err, queue.ErrNoDeadLetter) {
					e.fail("Revive of another sequence: got %v, want ErrNoDeadLetter", err)
				}
			}
			s.claimNone("it is dead")
			e.must(letters.Revive(e.ctx, "a", c.Sequence), "Revive")
			s.newest("a", "1")
			again := s.claimOne("1", long)
			if again.Sequence != c.Sequence || again.Attempt != 1 {
				e.fail("Claim: got sequence %d, attempt %d; want %d, 1", again.Sequence, again.Attempt, c.Sequence)
			}
			s.noLetter(letters, c, "a")
			s.settle(again, queue.Done, 0, queue.SettledDone)
			s.noLetter(letters, c, "a")
		}},
		{"Dead/dropped", "A dead letter that is dropped is gone.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			c := s.kill("a", "1")
			for _, sequence := range []uint64{c.Sequence - 1, c.Sequence + 1} {
				if err := letters.Drop(e.ctx, "a", sequence); !errors.Is(err, queue.ErrNoDeadLetter) {
					e.fail("Drop of another sequence: got %v, want ErrNoDeadLetter", err)
				}
			}
			e.must(letters.Drop(e.ctx, "a", c.Sequence), "Drop")
			s.claimNone("it was dropped")
			s.noLetter(letters, c, "a")
			if st := s.stats(); st.Dead != 0 || st.Queued != 0 || st.Bytes != 0 {
				e.fail("Stats: got %+v, want nothing", st)
			}
			if again := s.put("a", "2"); again <= c.Sequence {
				e.fail("Enqueue: got sequence %d after %d, want a higher one", again, c.Sequence)
			}
			s.claimOne("2", long)
		}},
		{"Dead/replaced", "A newer whole value takes the place of a dead one, and is due.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			c := s.kill("a", "1")
			s.put("a", "2")
			s.newest("a", "2")
			s.noLetter(letters, c, "a")
			if again := s.claimOne("2", long); again.Attempt != 1 {
				e.fail("Claim: got attempt %d, want 1", again.Attempt)
			}
			if st := s.stats(); st.Dead != 0 || st.Queued != 1 {
				e.fail("Stats: got %d dead, %d queued; want 0, 1", st.Dead, st.Queued)
			}
		}},
		{"Dead/not if a newer one waits", "An item that is to die and has a newer whole value behind it is replaced instead.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			c := s.claimOne("1", long)
			s.put("a", "2")
			s.settle(c, queue.Dead, 0, queue.SettledReplaced)
			if st := s.stats(); st.Dead != 0 || st.Replaced != 1 {
				e.fail("Stats: got %d dead, %d replaced; want 0, 1", st.Dead, st.Replaced)
			}
			s.claimOne("2", long)
		}},
		{"Dead/others are parked behind it", "What is parked behind a dead letter waits until that is retried, and then comes after it.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			c := s.killParked(e)
			s.claimNone("both are parked")
			s.newest("a", "3")
			e.must(letters.Revive(e.ctx, "a", c.Sequence), "Revive")
			s.settle(s.claimOne("1", long), queue.Done, 0, queue.SettledDone)
			s.settle(s.claimOne("3", long), queue.Done, 0, queue.SettledDone)
		}},
		{"Dead/what is parked flows when it is dropped", "What is parked behind a dead letter is due when that is dropped.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			c := s.killParked(e)
			e.must(letters.Drop(e.ctx, "a", c.Sequence), "Drop")
			s.settle(s.claimOne("3", long), queue.Done, 0, queue.SettledDone)
		}},
		{"Dead/pages", "Dead letters are listed by key, a page at a time.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			for _, key := range []string{"c", "a", "e", "b", "d"} {
				s.kill(key, key)
			}
			got, after := "", ""
			for {
				page, err := letters.Dead(e.ctx, after, 2)
				e.must(err, "Dead")
				if len(page) == 0 {
					break
				}
				if len(page) > 2 {
					e.fail("Dead: got %d letters, want at most 2", len(page))
				}
				for _, l := range page {
					got += string(l.Payload)
				}
				after = page[len(page)-1].Key
			}
			if got != "abcde" {
				e.fail("Dead: got %q, want abcde", got)
			}
		}},
		{"Dead/long reasons", "A reason is cut, whatever bytes it has.", func(e *env) {
			s := e.open()
			letters := capability[queue.DeadLetters](s)
			s.put("a", "1")
			reason := "\x00\xff" + fmt.Sprintf("%2000d", 1)
			_, err := s.Settle(e.ctx, []queue.Outcome{{Claim: s.claimOne("1", long), Result: queue.Dead, Reason: reason}})
			e.must(err, "Settle")
			got, err := letters.Dead(e.ctx, "", 1)
			e.must(err, "Dead")
			if len(got) != 1 || len(got[0].Reason) == 0 || len(got[0].Reason) > queue.MaxReason {
				e.fail("Dead: got %d letters with a reason of the wrong length, want 1 of at most %d bytes", len(got), queue.MaxReason)
			}
		}},
	}
}

func (s subject) kill(key, payload string) queue.Claim {
	s.put(key, payload)
	c := s.claimOne(payload, long)
	s.settle(c, queue.Dead, 0, queue.SettledDead)
	return c
}

// killParked makes 1 a dead letter, with 3 behind it.
func (s subject) killParked(e *env) queue.Claim {
	s.write(queue.Write{Key: "a", Payload: []byte("1"), Mode: queue.Park})
	c := s.claimOne("1", long)
	s.write(queue.Write{Key: "a", Payload: []byte("2"), Mode: queue.Park})
	s.settle(c, queue.Dead, 0, queue.SettledDead)
	s.write(queue.Write{Key: "a", Payload: []byte("3"), Mode: queue.Park})
	if st := s.stats(); st.Dead != 1 || st.Queued != 1 {
		e.fail("Stats: got %d dead, %d queued; want 1, 1", st.Dead, st.Queued)
	}
	return c
}

// noLetter checks that the dead letter is gone.
func (s subject) noLetter(letters queue.DeadLetters, c queue.Claim, key string) {
	for name, err := range map[string]error{
		"Revive": letters.Revive(s.ctx, key, c.Sequence),
		"Drop":   letters.Drop(s.ctx, key, c.Sequence),
	} {
		if !errors.Is(err, queue.ErrNoDeadLetter) {
			s.fail("%s: got %v, want ErrNoDeadLetter", name, err)
		}
	}
	if got, err := letters.Dead(s.ctx, "", 10); err != nil || len(got) != 0 {
		s.fail("Dead: got %d letters, %v; want none", len(got), err)
	}
}
