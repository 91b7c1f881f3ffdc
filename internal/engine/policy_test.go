package engine

import (
	"fmt"
	"testing"
)

// next returns who is next to leave a queue, which is no use of it.
func next(e *Engine[int], q queue) *Node[int] {
	return e.policy.slots.at(e.policy.oldest(q)).node.Load()
}

// Who fights for a place in the main part has been counted for the request that
// brought it in, and must have been seen twice more than who is there.
func TestADuelIsWonWithAHeadStart(t *testing.T) {
	for _, tc := range []struct {
		name                string
		candidate, defender uint32 // how often each was seen
		uses                int    // of the candidate since
		wins                bool
	}{
		{"seen as often", 1, 1, 0, false},
		{"seen once more", 2, 1, 0, false},
		{"seen twice more", 3, 1, 0, true},
		{"uses count", 1, 1, 2, true},
		{"seen less", 5, 9, 0, false},
	} {
		e := New(Options[int]{Limits: Limits{Entries: 2}})
		mustSet(t, e, node("defender", 0))
		mustSet(t, e, node("candidate", 0))
		p := &e.policy
		c, d := next(e, queueWindow), next(e, queueMain)
		p.sketch.halve()
		p.sketch.add(c.hash, tc.candidate)
		p.sketch.add(d.hash, tc.defender)
		for range tc.uses {
			c.use()
		}
		mustSet(t, e, node("new", 0))
		if got := e.Find("candidate") != nil; got != tc.wins || got == (e.Find("defender") != nil) {
			t.Errorf("%s: the candidate won: %t, want %t, and one of the two gone", tc.name, got, tc.wins)
		}
	}
}

// The head of the main part may look as if it were requested all the time, as it
// shares its counters with other keys. Those behind it must leave nevertheless.
func TestTheHandGetsPastAnEntryThatAlwaysWins(t *testing.T) {
	const size, loop = 100, 80 // so large that the window does not get to hold it
	e := New(Options[int]{Limits: Limits{Entries: size}})
	defer e.Close()
	for i := range size {
		mustSet(t, e, node(fmt.Sprint("old ", i), i))
	}
	head := next(e, queueMain)
	request, hits := inTurn(loop), 0
	for i := range 200 * loop {
		e.policy.sketch.add(head.hash, sketchMax)
		if demand(t, e, request()) && i >= 100*loop {
			hits++
		}
	}
	if head.Dead() {
		t.Error("who always wins had to leave")
	}
	if hits < 95*loop {
		t.Errorf("%d of the last %d requests hit, want nearly all: the cache has room for them", hits, 100*loop)
	}
}

// Who becomes the head of the main part has the same patience to count on as who was
// it before.
func TestPatienceBeginsAnewWithEachVictim(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 10}})
	defer e.Close()
	for i := range 10 {
		mustSet(t, e, node(fmt.Sprint("old ", i), i))
	}
	strangers := 0
	fight := func(rounds int) {
		for range rounds {
			strangers++
			mustSet(t, e, node(fmt.Sprint("stranger ", strangers), 0))
		}
	}
	fight(patience - 1)
	first := next(e, queueMain)
	candidate := next(e, queueWindow)
	e.policy.sketch.add(candidate.hash, sketchMax)
	fight(1)
	if !first.Dead() || candidate.Dead() {
		t.Fatal("want the head of the main part gone, for somebody who was seen more often")
	}
	second := next(e, queueMain)
	fight(patience - 1)
	if next(e, queueMain) != second {
		t.Errorf("the hand moved on before %d duels were won", patience)
	}
	fight(1)
	if next(e, queueMain) == second {
		t.Errorf("the hand did not move on after %d duels were won", patience)
	}
}
