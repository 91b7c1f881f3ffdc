package engine

import (
	"math"
	"sync"
	"time"
)

// policy decides who leaves to make room, and counts what the limits are about.
//
// New entries pass through a window, first in first out, that is a part of all
// which the climber decides on. When room is needed, the oldest of the window and
// the next victim of the main part compete: who was seen less often leaves. The
// main part is a clock: a queue whose head goes back to its end as long as it was
// used since.
//
// Its lock comes after the locks of keys: who holds it takes no other.
type policy[V any] struct {
	mu    parkingMutex
	freed sync.Cond // room was freed, or what was reserved has been published

	waiting  int // for freed
	limits   Limits
	entries  int64  // in the table, and reserved
	weight   int64  // theirs
	pinned   Limits // pinned entries in the table
	unstable int    // reservations, and entries taken to be evicted: room may come of them

	slots   *slots[V]
	lengths [queues]int
	sketch  sketch
	won     int // duels that the head of the main part has won
	climber climber
	wheel   wheel
	timer   *time.Timer
	armed   int64 // when the timer fires; Never: it does not
	closed  bool

	// Immutable.
	clock  *clock
	wakeUp func()
}

// Limits bound what an engine holds. 0 is no limit.
type Limits struct {
	Entries int64
	Weight  int64
}

func (l Limits) heaviest() int64 {
	if l.Weight == 0 {
		return math.MaxInt64
	}
	return l.Weight
}

// fit reports whether that many more fit.
func (p *policy[V]) fit(entries, weight int64) bool {
	return (p.limits.Entries == 0 || p.entries+entries <= p.limits.Entries) &&
		(p.limits.Weight == 0 || p.weight+weight <= p.limits.Weight)
}

// fitBesidePinned reports whether that many would fit beside pinned entries
// alone.
func (p *policy[V]) fitBesidePinned(entries, weight int64) bool {
	return (p.limits.Entries == 0 || p.pinned.Entries+entries <= p.limits.Entries) &&
		(p.limits.Weight == 0 || p.pinned.Weight+weight <= p.limits.Weight)
}

// resident returns how many entries can be evicted.
func (p *policy[V]) resident() int { return p.lengths[queueWindow] + p.lengths[queueMain] }

func (p *policy[V]) enqueue(pos uint32, q queue) {
	p.slots.push(uint32(q), pos)
	*p.slots.where(pos) = q
	p.lengths[q]++
}

// dequeue takes a slot out of its queue, if it is in one.
func (p *policy[V]) dequeue(pos uint32) {
	q := p.slots.where(pos)
	if *q == queueNone {
		return
	}
	if *q != queueTaken {
		p.slots.unlink(pos)
	}
	p.lengths[*q]--
	*q = queueNone
}

// enter gives n, which is counted already, a slot that is in no queue, and puts
// it into its lists.
func (p *policy[V]) enter(pos uint32, n *Node[V]) {
	n.pos = pos
	p.slots.at(pos).node.Store(n)
	p.admit(pos, n)
	p.schedule(pos, n.Deadline())
}

// admit puts a new entry into its queue.
func (p *policy[V]) admit(pos uint32, n *Node[V]) {
	p.sketch.fit(p.resident() + 1)
	p.sketch.add(n.hash, 1)
	if n.Pinned() {
		p.pin(n, 1)
		p.enqueue(pos, queuePinned)
		return
	}
	p.climber.enters(n.hash, p.resident())
	p.enqueue(pos, queueWindow)
	for p.lengths[queueWindow] > p.windowSize(p.resident()) {
		p.promote(p.oldest(queueWindow))
	}
}

// leave forgets an entry whose last node is n.
func (p *policy[V]) leave(n *Node[V]) {
	if n.Pinned() {
		p.pin(n, -1)
	}
	p.dequeue(n.pos)
	p.slots.free(n.pos)
	p.entries--
	p.weight -= n.Weight()
	p.roomFreed()
}

func (p *policy[V]) pin(n *Node[V], by int64) {
	p.pinned.Entries += by
	p.pinned.Weight += by * n.Weight()
}

// repin moves an entry to the queue where its next node belongs.
func (p *policy[V]) repin(old, next *Node[V]) {
	if old.Pinned() {
		p.pin(old, -1)
	}
	if next.Pinned() {
		p.pin(next, 1)
	}
	if old.Pinned() != next.Pinned() && *p.slots.where(next.pos) != queueTaken {
		p.dequeue(next.pos)
		if next.Pinned() {
			p.enqueue(next.pos, queuePinned)
		} else {
			p.enqueue(next.pos, queueMain)
		}
	}
}

// reschedule takes over a deadline that moved to an earlier time.
func (p *policy[V]) reschedule(n *Node[V]) {
	p.mu.Lock()
	p.schedule(n.pos, n.Deadline())
	p.mu.Unlock()
}

// windowSize returns how many of that many entries the window may hold.
func (p *policy[V]) windowSize(resident int) int {
	return max(1, int(p.climber.share*float64(resident)))
}

func (p *policy[V]) oldest(q queue) uint32 { return p.slots.at(uint32(q)).queue.next }

func (p *policy[V]) promote(pos uint32) {
	p.dequeue(pos)
	p.enqueue(pos, queueMain)
}

// victim takes out the entry that shall leave, or returns false if there is
// none.
func (p *policy[V]) victim(now int64) (uint32, bool) {
	resident := p.resident()
	if resident == 0 {
		return 0, false
	}
	pos := uint32(0)
	switch {
	case p.lengths[queueMain] == 0:
		pos = p.oldest(queueWindow)
	case p.lengths[queueWindow] < p.windowSize(resident):
		pos = p.clockVictim(now)
	default:
		pos = p.duel(now)
	}
	if n := p.slots.at(pos).node.Load(); now < n.Deadline() {
		p.climber.leaves(n.hash, *p.slots.where(pos), resident)
	}
	p.dequeue(pos)
	*p.slots.where(pos) = queueTaken
	p.lengths[queueTaken]++
	return pos, true
}

const (
	// headStart is how much more often the oldest of the window must have been seen
	// than the victim of the main part to take its place. The request that brought it
	// in has been counted, the next one of the victim is still to come: keys that are
	// requested in turn are one apart then, and would replace each other for ever.
	headStart = 1

	// patience is how many duels the victim of the main part wins in a row before it
	// is the turn of the next one. Its estimate may be that of other keys, which share
	// its counters; nobody would ever get past it.
	patience = 64
)

// duel has the oldest entry of the window compete with the victim of the main
// part, and returns the loser.
func (p *policy[V]) duel(now int64) uint32 {
	candidate := p.oldest(queueWindow)
	c := p.slots.at(candidate).node.Load()
	if now >= c.Deadline() {
		return candidate
	}
	seen := p.sketch.add(c.hash, c.takeUses(maxUses))
	defender := p.clockVictim(now)
	d := p.slots.at(defender).node.Load()
	if now < d.Deadline() && (seen <= headStart || seen <= p.sketch.estimate(d.hash)+headStart) {
		if p.won++; p.won == patience {
			p.moveHand(defender)
		}
		return candidate
	}
	p.won = 0
	p.promote(candidate)
	return defender
}

// clockVictim returns the first entry of the main part that was not used since
// it was last looked at.
func (p *policy[V]) clockVictim(now int64) uint32 {
	for {
		pos := p.oldest(queueMain)
		n := p.slots.at(pos).node.Load()
		if now >= n.Deadline() {
			return pos
		}
		uses := n.takeUses(1)
		if uses == 0 {
			return pos
		}
		p.sketch.add(n.hash, 1)
		p.moveHand(pos)
	}
}

// moveHand puts the head of the main part back to its end.
func (p *policy[V]) moveHand(head uint32) {
	p.slots.unlink(head)
	p.slots.push(uint32(queueMain), head)
	p.won = 0
}
