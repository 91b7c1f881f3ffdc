package engine

// room is what somebody has reserved of the limits: it counts as if it were in
// the table already. Room is reserved before a node is published, and given
// back after one was taken out, so what is in the table is never beyond the
// limits.
type room struct {
	entries, weight int64
	reserved        bool // false: there is nothing to give back
}

// What Compute is told instead of a weight.
const (
	Nothing    = -1 // its function stores nothing
	SameWeight = -2 // its function stores at most what weighs no more than what is there
)

// roomFor returns what a node of that weight needs that takes the place of old.
func roomFor[V any](old *Node[V], weight int64) room {
	switch {
	case weight < 0:
		return room{}
	case old != nil:
		return room{weight: max(0, weight-old.Weight())}
	}
	return room{entries: 1, weight: weight}
}

func (r room) covers(need room) bool { return r.entries >= need.entries && r.weight >= need.weight }

// makeRoom reserves need, and evicts for that if it must. No lock is held.
// What others have reserved, or are about to evict, may still turn out to be
// room, so it waits for them before it gives up; nobody waits here with anything
// reserved.
func (e *Engine[V]) makeRoom(need room) (room, error) {
	p, now := &e.policy, e.clock.coarse()
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case !p.fitBesidePinned(need.entries, need.weight):
			return room{}, ErrFull
		case p.fit(need.entries, need.weight):
			p.entries += need.entries
			p.weight += need.weight
			p.unstable++
			return room{need.entries, need.weight, true}, nil
		case e.evictSomeLocked(need, now):
		case p.unstable > 0:
			p.waitForRoom()
		default:
			return room{}, ErrFull
		}
	}
}

// evictSomeLocked evicts some of what has to leave before need fits, and returns
// false if nobody can. The policy's lock is held, but not all the time.
func (e *Engine[V]) evictSomeLocked(need room, now int64) bool {
	p := &e.policy
	var batch [8]*Node[V]
	victims := batch[:0]
	var freed room
	for len(victims) < cap(victims) && !p.fit(need.entries-freed.entries, need.weight-freed.weight) {
		pos, ok := p.victim(now)
		if !ok {
			break
		}
		n := p.slots.at(pos).node.Load()
		victims = append(victims, n)
		freed.entries++
		freed.weight += n.Weight()
	}
	if len(victims) == 0 {
		return false
	}
	e.evictLocked(victims, now)
	return true
}

// evictLocked evicts victims, whose slots were taken out of their queues. The
// policy's lock is held, but not all the time.
func (e *Engine[V]) evictLocked(victims []*Node[V], now int64) {
	p := &e.policy
	p.unstable++
	for _, n := range victims {
		p.mu.Unlock()
		e.evict(n, now)
	}
	p.unstable--
	p.roomFreed()
}

// evict removes n, whose slot was taken out of its queue, unless it was
// replaced or removed in the meantime. No lock is held; it returns with that of
// the policy.
func (e *Engine[V]) evict(n *Node[V], now int64) {
	s, p := e.shardOfNode(n), &e.policy
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.Dead() {
		p.mu.Lock()
		p.restore(n.pos)
		return
	}
	s.removeLocked(n)
	e.left(n, causeAt(n, now))
	p.mu.Lock()
	p.leave(n)
}

// causeAt returns why n leaves to make room.
func causeAt[V any](n *Node[V], now int64) Cause {
	if now >= n.Deadline() {
		return Expired
	}
	return Capacity
}

// restore puts a slot back into a queue that was taken out, if its entry is
// still there: it was written to since it was chosen. If the slot has got
// another entry meanwhile that somebody else took out, that one stays, which
// does no harm.
func (p *policy[V]) restore(pos uint32) {
	if *p.slots.where(pos) != queueTaken {
		return
	}
	p.dequeue(pos)
	if p.slots.at(pos).node.Load().Pinned() {
		p.enqueue(pos, queuePinned)
	} else {
		p.enqueue(pos, queueMain)
	}
}

// giveBack ends a reservation.
func (e *Engine[V]) giveBack(r room) {
	if r.reserved {
		e.policy.mu.Lock()
		e.policy.release(r)
		e.policy.mu.Unlock()
	}
}

func (p *policy[V]) release(r room) {
	p.entries -= r.entries
	p.weight -= r.weight
	if r.reserved {
		p.unstable--
	}
	p.roomFreed()
}

// waitForRoom waits until there may be room, or somebody to evict.
func (p *policy[V]) waitForRoom() {
	p.waiting++
	p.freed.Wait()
	p.waiting--
}

func (p *policy[V]) roomFreed() {
	if p.waiting > 0 {
		p.freed.Broadcast()
	}
}

// Fits reports whether a node of that weight can be held at all.
func (e *Engine[V]) Fits(weight int64) bool { return weight <= e.heaviest.Load() }

// Resize changes the limits and evicts down to them. Pinned nodes stay, even if
// they alone exceed them; nothing is stored then beside them.
func (e *Engine[V]) Resize(limits Limits) {
	p := &e.policy
	p.mu.Lock()
	unweighed := p.limits.Weight == 0
	p.limits = limits
	e.heaviest.Store(limits.heaviest())
	p.roomFreed()
	p.mu.Unlock()
	e.shrink()
	if unweighed {
		e.await()
	}
}

// await waits for those who have given the place of somebody heavier away while
// weight had no limit, until that one is out of the table. See Engine.exchange.
func (e *Engine[V]) await() {
	for i := range e.shards {
		e.shards[i].mu.Lock()
		e.shards[i].mu.Unlock() //lint:ignore SA2001 a barrier
	}
}

// shrink evicts down to the limits. No lock is held.
func (e *Engine[V]) shrink() {
	p, now := &e.policy, e.clock.coarse()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.fit(0, 0) {
		switch {
		case e.evictSomeLocked(room{}, now):
		case p.unstable > 0:
			p.waitForRoom()
		default:
			return
		}
	}
}
