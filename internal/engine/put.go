package engine

import "hash/maphash"

// Put is Compute for a change that stores n or nothing new: it returns n, what
// it was given, or nil. Mostly it takes the lock of the policy once: it has n take
// the place of its victim there in one step.
func (e *Engine[V]) Put(n *Node[V], change func(old *Node[V]) *Node[V]) error {
	key, weight := n.Key(), n.Weight()
	if weight > e.heaviest.Load() {
		return ErrTooHeavy
	}
	if n.pos != 0 {
		panic("engine: a node that was used before")
	}
	hash := maphash.String(e.seed, key)
	n.hash = home(hash)
	s := e.shardOf(hash)
	s.mu.Lock()
	switch old := s.table.Load().find(hash, key); {
	case old == nil && e.enterLocked(s, n):
		e.publishLocked(s, n, tagOf(hash), change)
		return nil
	case old != nil && old.Weight() >= weight:
		e.changeLocked(s, hash, key, old, weight, room{}, change)
		return nil
	case old != nil:
		s.mu.Unlock()
	}
	return e.Compute(key, weight, change)
}

// publishLocked puts n, which has entered the policy, into s if change says so,
// and unlocks s. Who finds n in a queue before waits for that.
func (e *Engine[V]) publishLocked(s *shard[V], n *Node[V], tag uint64, change func(*Node[V]) *Node[V]) {
	published := false
	defer func() { // also if change panics
		if !published {
			n.kill()
			e.policy.mu.Lock()
			e.policy.leave(n)
			e.policy.mu.Unlock()
		}
		s.mu.Unlock()
		e.invariants.check(e)
	}()
	switch change(nil) {
	case n:
		s.insertLocked(n, tag)
		published = true
	case nil:
	default:
		panic("engine: not the node that was announced")
	}
}

// putEvicts is how many entries Put evicts with the lock of its key held, at
// most.
const putEvicts = 8

// enterLocked counts n and gives it its place in the policy, and evicts for that
// if it must. What it evicts is out of the table before n can be found. It
// returns false, and unlocks s, if it would have to wait for somebody.
func (e *Engine[V]) enterLocked(s *shard[V], n *Node[V]) bool {
	p, now, weight := &e.policy, e.clock.coarse(), n.Weight()
	for range putEvicts {
		p.mu.Lock()
		if p.fit(1, weight) {
			p.entries++
			p.weight += weight
			p.enter(p.slots.take(), n)
			p.mu.Unlock()
			return true
		}
		victim := e.lockVictim(s, n, now)
		if victim == nil {
			return false
		}
		if e.exchange(s, victim, n, now) {
			return true
		}
	}
	s.mu.Unlock()
	return false
}

// lockVictim returns somebody who shall leave for n, with the lock of its key
// held besides those of s and the policy. If that would mean to wait it returns
// nil, and holds no lock any more.
func (e *Engine[V]) lockVictim(s *shard[V], n *Node[V], now int64) *Node[V] {
	p := &e.policy
	pos, ok := uint32(0), p.fitBesidePinned(1, n.Weight())
	if ok {
		pos, ok = p.victim(now)
	}
	if !ok {
		p.mu.Unlock()
		s.mu.Unlock()
		return nil
	}
	victim := p.slots.at(pos).node.Load()
	from := e.shardOfNode(victim)
	if from == s || from.mu.TryLock() {
		if !victim.Dead() {
			return victim
		}
		if from != s {
			from.mu.Unlock()
		}
	}
	s.mu.Unlock()
	e.evictLocked([]*Node[V]{victim}, now)
	p.mu.Unlock()
	return nil
}

// exchange takes victim out, whose lock is held besides those of s and the
// policy, and gives n its place if that makes enough room. It reports whether it
// did, and holds only the lock of s then.
//
// A place of which nothing is left over for others is given away first, so that
// they wait for the policy's lock once, and not while victim is taken out. What is
// left over is theirs only once victim is gone, as its owner sees it too.
func (e *Engine[V]) exchange(s *shard[V], victim, n *Node[V], now int64) bool {
	p, cause, more := &e.policy, causeAt(victim, now), n.Weight()-victim.Weight()
	if p.fit(0, more) && (more >= 0 || p.limits.Weight == 0) {
		p.enterInPlace(victim, n)
		p.roomFreed() // n may be evicted for others
		p.mu.Unlock()
		e.takeOut(s, victim, cause)
		return true
	}
	p.unstable++
	p.mu.Unlock()
	e.takeOut(s, victim, cause)
	p.mu.Lock()
	p.unstable--
	enough := p.fit(0, more)
	if enough {
		p.enterInPlace(victim, n)
	} else {
		p.leave(victim)
	}
	p.roomFreed()
	p.mu.Unlock()
	return enough
}

// takeOut takes victim out of its table, and unlocks that unless it is s.
func (e *Engine[V]) takeOut(s *shard[V], victim *Node[V], cause Cause) {
	from := e.shardOfNode(victim)
	from.removeLocked(victim)
	e.left(victim, cause)
	if from != s {
		from.mu.Unlock()
	}
}

// enterInPlace gives n the slot of victim, which was taken out of its queue, and
// counts it instead.
func (p *policy[V]) enterInPlace(victim, n *Node[V]) {
	p.weight += n.Weight() - victim.Weight()
	p.dequeue(victim.pos)
	p.enter(victim.pos, n)
}
