package memory

import (
	"iter"
	"sync/atomic"
	"unsafe"

	"github.com/larder-go/larder/cache"
)

// counters counts what the cache did. Hits and misses are spread over stripes,
// so that readers on many cores do not fight over one cache line.
type counters struct {
	reads [readStripes]readStripe

	sets        atomic.Uint64
	removes     atomic.Uint64
	evictions   atomic.Uint64
	expirations atomic.Uint64

	entries atomic.Int64 // in the table
	bytes   atomic.Int64 // their weight
	used    atomic.Int64 // what of the capacity they take
}

const readStripes = 32

type readStripe struct {
	hits   atomic.Uint64
	misses atomic.Uint64
	told   atomic.Int64 // when a hit was last reported to the engine
	_      [104]byte    // keeps neighbours off this pair of cache lines
}

// hit counts a hit.
func (c *counters) hit() { c.stripe().hits.Add(1) }

func (c *counters) miss() { c.stripe().misses.Add(1) }

// stripe picks a stripe by where the goroutine's stack is: one goroutine keeps
// to one, and so its core keeps the cache line. A random choice would have two
// cores steal lines from each other at every other hit.
func (c *counters) stripe() *readStripe {
	var onStack byte
	at := uint64(uintptr(unsafe.Pointer(&onStack))) >> 11 // stacks are 2 KiB or more
	return &c.reads[at*0x9e3779b97f4a7c15>>59]
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
	for i := range c.counters.reads {
		s.Hits += c.counters.reads[i].hits.Load()
		s.Misses += c.counters.reads[i].misses.Load()
	}
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
		for e := range c.engine.entries {
			if !e.expired(c.now()) && !yield(e.key, e.value()) {
				return
			}
		}
	}
}
