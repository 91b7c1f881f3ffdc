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
	_    [64]byte
	sets atomic.Uint64 // each gets a number of its own

	_       [64]byte
	stripes [16]leavers
}

// leavers are the entries that left, by cause.
type leavers struct {
	counts [CauseCapacity + 1]atomic.Uint64

	_ [64]byte // keeps neighbours off this cache line
}

// left counts a node that left the table.
func (c *counters) left(n *node, cause Cause) {
	c.stripes[uintptr(unsafe.Pointer(n))/unsafe.Sizeof(*n)%uintptr(len(c.stripes))].counts[cause].Add(1)
}

// of returns how many left for this cause.
func (c *counters) of(cause Cause) (n uint64) {
	for i := range c.stripes {
		n += c.stripes[i].counts[cause].Load()
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
		Sets:        c.counters.sets.Load(),
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
