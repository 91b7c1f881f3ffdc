package memory

import (
	"iter"
	"sync/atomic"
	"unsafe"

	"github.com/larder-go/larder/cache"
)

// counters counts what the cache did; the engine counts hits, misses, and what
// there is. What writers of other keys would change at the same time is spread over
// several cache lines.
type counters struct {
	_       [64]byte
	stripes [16]stripe
}

// stripe counts the writes of some nodes, and by cause those that left of some.
type stripe struct {
	sets atomic.Uint64
	left [CauseCapacity + 1]atomic.Uint64

	_ [64]byte // keeps neighbours off this cache line
}

// stripeOf chooses by the address, so that it is as good as by chance.
func (c *counters) stripeOf(n *node) (s *stripe, index uint64) {
	index = uint64(uintptr(unsafe.Pointer(n)) / unsafe.Sizeof(*n) % uintptr(len(c.stripes)))
	return &c.stripes[index], index
}

// set counts a write, and returns a number that no other write of the cache has.
func (c *counters) set(n *node) uint64 {
	s, index := c.stripeOf(n)
	return s.sets.Add(1)*uint64(len(c.stripes)) + index
}

// sets returns how many writes there were.
func (c *counters) sets() (n uint64) {
	for i := range c.stripes {
		n += c.stripes[i].sets.Load()
	}
	return n
}

// leave counts a node that left the table.
func (c *counters) leave(n *node, cause Cause) {
	s, _ := c.stripeOf(n)
	s.left[cause].Add(1)
}

// of returns how many left for this cause.
func (c *counters) of(cause Cause) (n uint64) {
	for i := range c.stripes {
		n += c.stripes[i].left[cause].Load()
	}
	return n
}

// Stats tells what the cache did so far, its loads included. Entries and Bytes
// count entries that have expired but were not reclaimed yet. It takes a lock for
// a moment, and stays available after Close. Numbers of concurrent calls may be counted
// in part.
func (c *Cache) Stats() cache.Stats {
	e := c.engine.Stats()
	s := cache.Stats{
		Hits:        e.Hits,
		Misses:      e.Misses,
		Sets:        c.counters.sets(),
		Removes:     c.counters.of(CauseRemoved),
		Evictions:   c.counters.of(CauseCapacity),
		Expirations: c.counters.of(CauseExpired),
		Entries:     e.Entries,
		Bytes:       e.Weight,
	}
	c.coordinator.AddTo(&s)
	return s
}

// Len returns the number of entries, those included that have expired but were
// not reclaimed yet. It takes a lock for a moment.
func (c *Cache) Len() int { return int(c.engine.Stats().Entries) }

// All returns an iterator over the live entries, in no order, with the values
// that Eviction describes. Entries stored or removed while it runs may be
// missed. It does not count as a use of them, and holds no lock while it
// yields.
func (c *Cache) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for n := range c.engine.Entries {
			if !expired(n, c.now()) && !yield(n.Key(), n.Value.value()) {
				return
			}
		}
	}
}
