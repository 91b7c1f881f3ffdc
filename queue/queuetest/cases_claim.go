package queuetest

import (
	"fmt"

	"github.com/larder-go/larder/queue"
)

func claimCases() []testCase {
	return []testCase{
		{"Claim/is exclusive", "Nobody else claims a claimed item, nor what is behind it.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.claimOne("1", long)
			s.claimNone("it is claimed")
			s.put("a", "2")
			s.claimNone("its key is being written")
		}},
		{"Claim/oldest first", "Items are claimed in the order in which they were accepted, no more than Max.", func(e *env) {
			s := e.open()
			for i := range 5 {
				s.put(fmt.Sprint("key", 4-i), fmt.Sprint(i))
				e.wait(0.02)
			}
			got := ""
			for range 3 {
				claims := s.claim(2, long)
				if len(claims) > 2 {
					e.fail("Claim: got %d claims, want at most 2", len(claims))
				}
				for _, c := range claims {
					got += string(c.Payload)
				}
			}
			if got != "01234" {
				e.fail("Claim: got order %s, want 01234", got)
			}
		}},
		{"Claim/runs out", "When its visibility has passed an item is due again, and the attempt counts: its worker may have died.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			first := s.claimOne("1", e.units(2))
			s.newest("a", "1")
			e.wait(1)
			s.claimNone("it is claimed")
			e.wait(1.5)
			second := s.claimOne("1", long)
			if second.Attempt != 2 || second.Sequence != first.Sequence || second.Token == first.Token {
				e.fail("second claim: got attempt %d, same sequence %t, another token %t; want 2, true, true",
					second.Attempt, second.Sequence == first.Sequence, second.Token != first.Token)
			}
			if st := s.stats(); st.Redelivered != 1 || st.Claimed != 2 {
				e.fail("Stats: got %d redelivered of %d claimed, want 1 of 2", st.Redelivered, st.Claimed)
			}
		}},
		{"Claim/newer write stays", "An acknowledgement is for what was written: a write that came meanwhile stays.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			c := s.claimOne("1", long)
			newer := s.put("a", "2")
			s.settle(c, queue.Done, 0, queue.SettledDone)
			s.newest("a", "2")
			c = s.claimOne("2", long)
			if c.Attempt != 1 || c.Sequence != newer || c.Writes != 1 || c.First != newer {
				e.fail("Claim: got attempt %d, sequence %d, %d writes, first %d; want 1, %d, 1, %d",
					c.Attempt, c.Sequence, c.Writes, c.First, newer, newer)
			}
		}},
		{"Claim/lost one settles nothing", "A worker whose claim ran out, and was given to another, changes nothing.", func(e *env) {
			for _, r := range []queue.Result{queue.Done, queue.Failed, queue.Deferred, queue.Dead} {
				s := e.open()
				s.put("a", "1")
				lost := s.claimOne("1", e.units(0.5))
				e.wait(1)
				c := s.claimOne("1", long)
				s.settle(lost, r, 0, queue.SettledLost)
				s.newest("a", "1")
				s.claimNone("the second worker has it")
				s.settle(c, queue.Done, 0, queue.SettledDone)
				s.settle(c, queue.Done, 0, queue.SettledLost)
				if st := s.stats(); st.Lost != 2 || st.Done != 1 {
					e.fail("Stats: got %d lost, %d done; want 2, 1", st.Lost, st.Done)
				}
			}
		}},
		{"Claim/late but alone", "A claim that ran out is still good if nobody claimed the item since.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			c := s.claimOne("1", e.units(0.5))
			e.wait(1)
			s.settle(c, queue.Done, 0, queue.SettledDone)
			s.claimNone("it is done")
		}},
		{"Claim/of another life", "A claim from before the item was done and enqueued again is lost.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			old := s.claimOne("1", long)
			s.settle(old, queue.Done, 0, queue.SettledDone)
			s.put("a", "2")
			s.settle(old, queue.Done, 0, queue.SettledLost)
			c := s.claimOne("2", long)
			s.settle(old, queue.Done, 0, queue.SettledLost)
			s.newest("a", "2")
			s.settle(c, queue.Done, 0, queue.SettledDone)
		}},
		{"Claim/names key, sequence and token", "An outcome of another key, sequence or token than the claim's changes nothing.", func(e *env) {
			s := e.open()
			s.put("b", "2")
			s.settle(s.claimOne("2", long), queue.Done, 0, queue.SettledDone)
			s.put("a", "1")
			c := s.claimOne("1", long)
			key, sequence, token := c, c, c
			key.Key, sequence.Sequence, token.Token = "b", c.Sequence+1, c.Token+1
			for _, other := range []queue.Claim{key, sequence, token} {
				for _, r := range []queue.Result{queue.Done, queue.Failed} {
					s.settle(other, r, 0, queue.SettledLost)
				}
			}
			s.newest("a", "1")
			s.settle(c, queue.Done, 0, queue.SettledDone)
		}},
		{"Claim/settles many", "Settle takes outcomes of all kinds at once and answers in their order.", func(e *env) {
			s := e.open()
			for i := range 4 {
				s.put(fmt.Sprint("key", i), fmt.Sprint(i))
				e.wait(0.02)
			}
			claims := s.claim(10, long)
			if len(claims) != 4 {
				e.fail("Claim: got %d, want 4", len(claims))
			}
			unknown := claims[0]
			unknown.Key = "none"
			got, err := s.Settle(e.ctx, []queue.Outcome{
				{Claim: claims[0], Result: queue.Done}, {Claim: unknown, Result: queue.Done},
				{Claim: claims[1], Result: queue.Failed}, {Claim: claims[2], Result: queue.Dead}, {Claim: claims[3], Result: queue.Deferred},
			})
			e.must(err, "Settle")
			want := []queue.Settled{queue.SettledDone, queue.SettledLost, queue.SettledQueued, queue.SettledDead, queue.SettledQueued}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				e.fail("Settle: got %v, want %v", got, want)
			}
			if got := len(s.claim(10, long)); got != 2 {
				e.fail("Claim: got %d, want the failed and the deferred one", got)
			}
		}},
		{"Claim/counts", "Stats tell what is queued, in flight, and how old.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			e.wait(2)
			s.put("b", "2")
			s.claimOneOf(1)
			st := s.stats()
			if st.Queued != 2 || st.InFlight != 1 || st.Dead != 0 || st.Bytes <= 0 {
				e.fail("Stats: got %d queued, %d in flight, %d dead, %d bytes; want 2, 1, 0, some", st.Queued, st.InFlight, st.Dead, st.Bytes)
			}
			if st.Oldest < e.units(1.9) || st.Oldest > e.units(6) {
				e.fail("Stats: got an oldest of %v, want about %v", st.Oldest, e.units(2))
			}
		}},
	}
}

func (s subject) claimOneOf(limit int) queue.Claim {
	claims := s.claim(limit, long)
	if len(claims) != 1 {
		s.fail("Claim: got %d claims, want 1", len(claims))
	}
	return claims[0]
}

func failureCases() []testCase {
	return []testCase{
		{"Failure/waits", "A failed item is due again after its delay, not before, and attempts count.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.settle(s.claimOne("1", long), queue.Failed, e.units(2), queue.SettledQueued)
			s.claimNone("it waits")
			e.wait(1)
			s.claimNone("it waits")
			e.wait(1.5)
			if c := s.claimOne("1", long); c.Attempt != 2 {
				e.fail("Claim: got attempt %d, want 2", c.Attempt)
			}
		}},
		{"Failure/deferred does not count", "The attempt of a deferred item does not count.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			for range 3 {
				c := s.claimOne("1", long)
				if c.Attempt != 1 {
					e.fail("Claim: got attempt %d, want 1", c.Attempt)
				}
				s.settle(c, queue.Deferred, 0, queue.SettledQueued)
			}
		}},
		{"Failure/others flow", "An item that waits for its next attempt keeps no other key waiting.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.settle(s.claimOne("1", long), queue.Failed, long, queue.SettledQueued)
			s.put("b", "2")
			s.settle(s.claimOne("2", long), queue.Done, 0, queue.SettledDone)
		}},
		{"Failure/older does not come after newer", "A failed value that a newer one waits behind is replaced by it, and the newer waits out the delay with attempts of its own.", func(e *env) {
			s := e.open()
			first := s.put("a", "1")
			c := s.claimOne("1", long)
			s.put("a", "2")
			s.settle(c, queue.Failed, e.units(1), queue.SettledReplaced)
			s.newest("a", "2")
			s.claimNone("it waits")
			e.wait(1.5)
			c = s.claimOne("2", long)
			if c.Attempt != 1 || c.First != first || c.Writes != 2 {
				e.fail("Claim: got attempt %d, first %d, %d writes; want 1, %d, 2", c.Attempt, c.First, c.Writes, first)
			}
			s.settle(c, queue.Done, 0, queue.SettledDone)
			s.claimNone("the older one was replaced")
		}},
		{"Failure/newer takes the place of one that waits", "A whole value takes the place of an older one that waits for its next attempt, and waits as long.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			s.settle(s.claimOne("1", long), queue.Failed, e.units(1), queue.SettledQueued)
			s.put("a", "2")
			s.newest("a", "2")
			s.claimNone("the source is spared until the delay is over")
			e.wait(1.5)
			if c := s.claimOne("2", long); c.Attempt != 1 {
				e.fail("Claim: got attempt %d, want 1", c.Attempt)
			}
		}},
		{"Failure/replaced when its worker died", "A newer value also replaces the one whose claim ran out.", func(e *env) {
			s := e.open()
			s.put("a", "1")
			lost := s.claimOne("1", e.units(0.5))
			s.put("a", "2")
			e.wait(1)
			c := s.claimOne("2", long)
			s.settle(lost, queue.Done, 0, queue.SettledLost)
			s.newest("a", "2")
			s.settle(c, queue.Done, 0, queue.SettledDone)
		}},
	}
}
