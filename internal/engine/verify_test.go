package engine

import (
	"fmt"
	"testing"
)

func TestVerifyCatchesFaults(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault func(e *Engine[int], n *Node[int])
	}{
		{"a sum", func(e *Engine[int], _ *Node[int]) { e.policy.weight++ }},
		{"room never given back", func(e *Engine[int], _ *Node[int]) { e.policy.unstable++ }},
		{"a slot in no queue", func(e *Engine[int], n *Node[int]) { e.policy.dequeue(n.pos) }},
		{"an entry that the wheel forgot", func(e *Engine[int], n *Node[int]) { e.policy.slots.unlinkTimer(n.pos) }},
		{"a slot that was freed", func(e *Engine[int], n *Node[int]) { e.policy.leave(n) }},
		{"a dead node in the table", func(_ *Engine[int], n *Node[int]) { n.kill() }},
		{"a node that lost its tag", func(e *Engine[int], n *Node[int]) {
			b, i := e.shards[n.hash>>e.shift].table.Load().locate(n)
			b.tags.Store(b.tags.Load() &^ (0xff << (8 * i)))
		}},
		{"a count of who went past", func(e *Engine[int], _ *Node[int]) { e.shards[0].table.Load().buckets[0].tags.Add(passedOne) }},
	} {
		e := New(Options[int]{Limits: Limits{Entries: 100}})
		for i := range 50 {
			mustSet(t, e, NewNode(fmt.Sprint(i), i, 1, e.Now()+1e12, false))
		}
		if err := e.verify(); err != nil {
			t.Fatalf("before: %v", err)
		}
		tc.fault(e, e.Find("7"))
		if e.verify() == nil {
			t.Errorf("%s: got no error", tc.name)
		}
	}
}
