package engine

// Entries calls yield for every entry that is in the table from start to end,
// with its node of some moment in between, and for some that are not; for one
// that was removed and stored again perhaps twice. It holds no lock while it
// yields.
func (e *Engine[V]) Entries(yield func(*Node[V]) bool) {
	for i := range e.shards {
		t := e.shards[i].table.Load()
		for j := range t.buckets {
			for place := range t.buckets[j].nodes {
				n := t.buckets[j].nodes[place].Load()
				if n != nil && n.Dead() { // t was replaced, or n just now
					n = e.Peek(n.Key())
				}
				if n != nil && !yield(n) {
					return
				}
			}
		}
	}
}

// Clear removes every entry that is in the table when it is called, pinned ones
// too. Each shard is emptied in one step, under its lock.
func (e *Engine[V]) Clear() {
	for i := range e.shards {
		e.clearShard(&e.shards[i])
	}
}

func (e *Engine[V]) clearShard(s *shard[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return
	}
	t := s.table.Load()
	s.table.Store(newTable[V](1))
	s.count = 0
	for i := range t.buckets {
		for place := range t.buckets[i].nodes {
			if n := t.buckets[i].nodes[place].Load(); n != nil {
				e.left(n, Removed)
				e.policy.mu.Lock()
				e.policy.leave(n)
				e.policy.mu.Unlock()
			}
		}
	}
}
