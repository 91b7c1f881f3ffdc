package engine

import (
	"errors"
	"fmt"
	"math/bits"
)

// verify checks all that must hold whenever nobody is at work in e: tables,
// tags, slots, queues, wheel and sums agree with each other.
func (e *Engine[V]) verify() error { return e.verifyWhile(false) }

// verifyWhile is verify, and if others are at work what must hold even then. It
// takes all locks there are.
func (e *Engine[V]) verifyWhile(busy bool) error {
	for i := range e.shards {
		e.shards[i].mu.Lock()
		defer e.shards[i].mu.Unlock()
	}
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
			sum.Weight += n.Weight()
			if n.Pinned() {
				pinned.Entries++
				pinned.Weight += n.Weight()
			}
			if n.Dead() || tag == 0 || n.Deadline() == ended {
				fail("a node in the table: dead %t, tag %d, deadline %d", n.Dead(), tag, n.Deadline())
			}
			if e.Peek(n.Key()) != n {
				fail("a node is in the table and not found")
			}
			if owners[n.pos] != nil || p.slots.at(n.pos).node.Load() != n {
				fail("slot %d is not its node's", n.pos)
			}
			owners[n.pos] = n
			if q := *p.slots.where(n.pos); (q == queuePinned) != n.Pinned() || q == queueNone || q == queueTaken && !busy {
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
	reserved := busy && p.unstable > 0 && sum.Entries <= p.entries && sum.Weight <= p.weight
	if sum.Entries != p.entries && !reserved || sum.Weight != p.weight && !reserved || pinned != p.pinned || p.unstable != 0 && !busy {
		fail("policy has %d of weight %d, %+v pinned, %d unstable; tables %+v and %+v", p.entries, p.weight, p.pinned, p.unstable, sum, pinned)
	}
	if sum.Entries > p.limits.Entries && p.limits.Entries > 0 && p.unstable == 0 && sum.Entries > pinned.Entries ||
		sum.Weight > p.limits.Weight && p.limits.Weight > 0 && p.unstable == 0 && sum.Weight > pinned.Weight {
		fail("%+v with %+v pinned, beyond %+v", sum, pinned, p.limits)
	}
	errs = append(errs, p.verifyLists(owners, busy)...)
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

func (p *policy[V]) verifyLists(owners map[uint32]*Node[V], busy bool) (errs []error) {
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
	if taken := p.lengths[queueTaken]; queued+taken != len(owners) || taken != 0 && !busy {
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
		if n.Deadline() != Never && !scheduled[pos] && !busy { // else somebody may be about to expire it
			errs = append(errs, errors.New("an entry expires that is not in the wheel"))
		}
	}
	return errs
}
