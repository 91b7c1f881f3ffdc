package engine

import (
	"errors"
	"fmt"
	"math/bits"
	"testing"
)

// verify checks all that must hold whenever nobody is at work in e: tables,
// tags, slots, queues, wheel and sums agree with each other.
func (e *Engine[V]) verify() error {
	p := &e.policy
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var sum, pinned Limits
	owners := make(map[uint32]*Node[V])
	for i := range e.shards {
		s := &e.shards[i]
		count := 0
		s.table.Load().each(func(n *Node[V], tag uint64) {
			count++
			sum.Entries++
			sum.Weight += n.weight
			if n.Pinned() {
				pinned.Entries++
				pinned.Weight += n.weight
			}
			if n.Dead() || tag == 0 || n.Deadline() == ended {
				fail("a node in the table: dead %t, tag %d, deadline %d", n.Dead(), tag, n.Deadline())
			}
			if e.Peek(n.key) != n {
				fail("a node is in the table and not found")
			}
			if owners[n.pos] != nil || p.slots.at(n.pos).node.Load() != n {
				fail("slot %d is not its node's", n.pos)
			}
			owners[n.pos] = n
			if q := *p.slots.where(n.pos); (q == queuePinned) != n.Pinned() || q == queueNone || q == queueTaken {
				fail("slot %d is in queue %d, pinned %t", n.pos, q, n.Pinned())
			}
		})
		if count != s.count {
			fail("shard %d counts %d of %d", i, s.count, count)
		}
		if err := s.table.Load().verifyPassed(); err != nil {
			errs = append(errs, err)
		}
	}
	if sum.Entries != p.entries || sum.Weight != p.weight || pinned != p.pinned || p.unstable != 0 {
		fail("policy has %d of weight %d, %+v pinned, %d unstable; tables %+v and %+v", p.entries, p.weight, p.pinned, p.unstable, sum, pinned)
	}
	errs = append(errs, p.verifyLists(owners)...)
	return errors.Join(errs...)
}

func (t *table[V]) each(visit func(n *Node[V], tag uint64)) {
	for i := range t.buckets {
		b := &t.buckets[i]
		for place := range b.nodes {
			tag := b.tags.Load() >> (8 * place) & 0xff
			if n := b.nodes[place].Load(); n != nil {
				visit(n, tag)
			} else if tag != 0 {
				visit(&Node[V]{}, 0)
			}
		}
	}
}

// verifyPassed checks that each bucket counts those who went past it.
func (t *table[V]) verifyPassed() error {
	want := make([]uint64, len(t.buckets))
	for i := range t.buckets {
		for place := range t.buckets[i].nodes {
			if n := t.buckets[i].nodes[place].Load(); n != nil {
				for j := n.hash & t.mask; j != uint32(i); j = (j + 1) & t.mask {
					want[j]++
				}
			}
		}
	}
	for i := range t.buckets {
		if got := t.buckets[i].tags.Load() >> 56; got != want[i] && got != passedMax {
			return fmt.Errorf("bucket %d counts %d who went past, want %d", i, got, want[i])
		}
	}
	return nil
}

func (p *policy[V]) verifyLists(owners map[uint32]*Node[V]) (errs []error) {
	queued := 0
	for q := queueWindow; q <= queuePinned; q++ {
		length := 0
		for pos := p.oldest(q); pos != uint32(q); pos = p.slots.at(pos).queue.next {
			length++
			if owners[pos] == nil || *p.slots.where(pos) != q {
				errs = append(errs, fmt.Errorf("queue %d has slot %d, of queue %d", q, pos, *p.slots.where(pos)))
			}
		}
		if length != p.lengths[q] {
			errs = append(errs, fmt.Errorf("queue %d counts %d of %d", q, p.lengths[q], length))
		}
		queued += length
	}
	if queued != len(owners) || p.lengths[queueTaken] != 0 {
		errs = append(errs, fmt.Errorf("%d in queues, %d taken, %d in tables", queued, p.lengths[queueTaken], len(owners)))
	}
	scheduled := make(map[uint32]bool)
	for list := uint32(0); list < wheelLists; list++ {
		head := headWheel + list
		for pos := p.slots.at(head).timer.next; pos != head; pos = p.slots.at(pos).timer.next {
			scheduled[pos] = true
			n := owners[pos]
			if n == nil {
				errs = append(errs, fmt.Errorf("the wheel has slot %d of nobody", pos))
			}
			if head != headDue && p.wheel.taken[list/wheelBuckets]&bits.RotateLeft64(1, int(list%wheelBuckets)) == 0 {
				errs = append(errs, fmt.Errorf("bucket %d counts as empty", list))
			}
		}
	}
	for pos, n := range owners {
		if n.Deadline() != Never && !scheduled[pos] {
			errs = append(errs, errors.New("an entry expires that is not in the wheel"))
		}
	}
	return errs
}

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
