package engine

import (
	"time"
	"weak"
)

// expireBatch is how many entries are looked at under the policy's lock before
// others get a turn.
const expireBatch = 64

// waker returns what the timer calls when entries may have expired. It does not
// keep e in memory: an engine that nobody else refers to is collected, and its
// timer fires once more and does nothing.
func waker[V any](e *Engine[V]) func() {
	ref := weak.Make(e)
	return func() {
		if e := ref.Value(); e != nil {
			e.tick()
		}
	}
}

// arm has the timer fire at a time, unless it fires earlier. The policy's lock
// is held.
func (p *policy[V]) arm(at int64) {
	if at >= p.armed || p.closed {
		return
	}
	p.armed = at
	wait := max(0, time.Duration(at-p.clock.now()))
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, p.wakeUp)
	} else {
		p.timer.Reset(wait)
	}
}

func (e *Engine[V]) tick() {
	p := &e.policy
	p.mu.Lock()
	p.armed = Never
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return
	}
	e.Tidy()
	if e.tidied != nil {
		e.tidied()
	}
}

// Tidy removes what has expired, to the accuracy of a second or so. The engine
// does it by itself, once a second while there is reason to, until Close.
func (e *Engine[V]) Tidy() {
	p, now := &e.policy, e.clock.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.advance(now)
	for {
		var batch [expireBatch]*Node[V]
		due := p.takeDue(batch[:0], now)
		if len(due) == 0 {
			p.arm(p.wheel.nextWake())
			return
		}
		p.mu.Unlock()
		for _, n := range due {
			if n != nil {
				e.expire(n, now)
			}
		}
		p.mu.Lock()
	}
}

// takeDue takes slots off the list of those due and appends their nodes, or nil
// for one that has not expired after all, which goes back to the wheel.
func (p *policy[V]) takeDue(due []*Node[V], now int64) []*Node[V] {
	for len(due) < cap(due) {
		pos := p.slots.at(headDue).timer.next
		if pos == headDue {
			break
		}
		p.slots.unlinkTimer(pos)
		n := p.slots.at(pos).node.Load()
		if deadline := n.Deadline(); now < deadline {
			p.schedule(pos, deadline)
			n = nil
		}
		due = append(due, n)
	}
	return due
}

// Reclaim removes n if it has expired and is in the table, and nothing says
// that it shall stay. It reports whether it did.
func (e *Engine[V]) Reclaim(n *Node[V]) bool { return e.expire(n, e.clock.now()) }

// expire removes n, whose slot may have been taken out of the wheel: then it is
// put back if its entry stays, with whatever node it has by now. If the slot has
// got another entry meanwhile, that one is scheduled once more, which changes
// nothing.
func (e *Engine[V]) expire(n *Node[V], now int64) bool {
	s := e.shardOfNode(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	dead, until := n.Dead(), int64(0)
	if !dead && e.keep != nil {
		until = e.keep(n, now)
	}
	if !dead && until <= now && n.End(now) {
		e.removeLocked(s, n, Expired)
		return true
	}
	if !dead && until > now {
		n.state.Or(keptFlag)
	}
	p := &e.policy
	p.mu.Lock()
	defer p.mu.Unlock()
	if current := p.slots.at(n.pos).node.Load(); current != nil {
		p.schedule(n.pos, max(until, current.Deadline()))
	}
	return false
}

// Close ends the reclaiming of what expires. It is not needed: see Engine. It
// waits for nobody and may be called more than once; everything else still
// works.
func (e *Engine[V]) Close() {
	p := &e.policy
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	e.clock.stop()
}
