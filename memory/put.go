package memory

import (
	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/engine"
)

// put has change decide under the key's lock what is under the key of n from
// then on; see engine.Engine.Compute. There is room for n, if room is nil. If it is
// not, n cannot be held: change asks admit what that means, and does what
// else it has to. It may return n all the same.
func (c *Cache) put(n *node, change func(old *node, room error) *node) {
	err := c.engine.Put(n, func(old *node) *node { return change(old, nil) })
	if err == nil {
		return
	}
	room := errPinnedFull
	if err == engine.ErrTooHeavy { // a Resize came between
		room = cache.ErrValueTooLarge
	}
	c.alter(n.Key(), func(old *node) *node {
		if next := change(old, room); next != n {
			return next
		}
		return nil
	})
}

// alter is put for a change that stores nothing new.
func (c *Cache) alter(key string, change func(old *node) *node) {
	// An engine that needs no room refuses nothing.
	_ = c.engine.Compute(key, engine.SameWeight, change)
}

// admit accounts for n, which is about to take the place of old (which may be
// nil) under the lock of their key, or returns why it cannot. room is what put
// says. Without room beside pinned entries, a normal entry takes the place of
// old and is evicted in the same step.
func (c *Cache) admit(n, old *node, now int64, room error) error {
	if c.closed.Load() { // again: Close drops what is in the table by now
		return cache.ErrClosed
	}
	if room != nil && (n.Pinned() || room != errPinnedFull) {
		return room
	}
	n.Value.write = c.counters.set(n)
	switch {
	case room != nil:
		if old != nil {
			old.Value.setReplaced()
		}
		c.report(n, CauseCapacity)
	case old != nil:
		c.report(old, causeAt(old, now, CauseReplaced))
	}
	return nil
}

// gone is told by the engine about a node that left the table other than by
// being replaced, under the lock of its key.
func (c *Cache) gone(n *node, why engine.Cause) {
	cause := CauseCapacity // even one that has expired, but is locked
	switch {
	case n.Value.replaced():
		cause = CauseReplaced
	case why == engine.Removed:
		cause = CauseRemoved
	}
	if !c.engine.Live(n) { // or it cannot have expired, which takes no clock to tell
		cause = causeAt(n, c.now(), cause)
	} else if n.Value.lapsed() {
		cause = CauseRemoved
	}
	c.report(n, cause)
}

// keep tells the engine until when a node that has expired at now stays: until
// its lock ends.
func keep(n *node, now int64) int64 {
	if l := n.Value.lockAt(now); l != nil && !n.Value.lapsed() {
		return l.end
	}
	return now
}

// report counts a node that left the table, and has it reported. The lock of its
// key is held.
func (c *Cache) report(n *node, cause Cause) {
	if c.closed.Load() {
		return
	}
	c.counters.leave(n, cause)
	if c.notices != nil {
		c.notices.add(n, cause)
	}
}

// settle ends a call that may have changed the table: it reports who left, with
// no lock held.
func (c *Cache) settle() {
	if c.notices != nil {
		c.notices.deliver()
	}
}
