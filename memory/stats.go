package memory

import (
	"iter"
	"sync/atomic"

	"github.com/larder-go/larder/cache"
)

// counters counts what the cache did; the engine counts hits and misses.
type counters struct {
	sets        atomic.Uint64
	removes     atomic.Uint64
	evictions   atomic.Uint64
	expirations atomic.Uint64

	entries atomic.Int64 // in the table
	bytes   atomic.Int64 // their weight
}

// Stats tells what the cache did so far, its loads included. Entries and Bytes
// count entries that have expired but were not reclaimed yet. It costs no lock
// and stays available after Close. Numbers of concurrent calls may be counted
// in part.
func (c *Cache) Stats() cache.Stats {
	s := cache.Stats{
		Sets:        c.counters.sets.Load(),
		Removes:     c.counters.removes.Load(),
		Evictions:   c.counters.evictions.Load(),
		Expirations: c.counters.expirations.Load(),
		Entries:     c.counters.entries.Load(),
		Bytes:       c.counters.bytes.Load(),
	}
	s.Hits, s.Misses = c.engine.Reads()
	c.coordinator.AddTo(&s)
	return s
}

// Len returns the number of entries, those included that have expired but were
// not reclaimed yet.
func (c *Cache) Len() int { return int(c.counters.entries.Load()) }

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
