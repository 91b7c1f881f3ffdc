package engine

import (
	"sync/atomic"
	"unsafe"
)

// counters count reads, spread over stripes, so that readers on many cores do
// not fight over one cache line.
type counters struct{ stripes [readStripes]readStripe }

const (
	readStripes = 32

	// refreshEach is how many of a stripe's reads go by before one reads the
	// clock: after the process was stopped for long, say.
	refreshEach = 1024
)

type readStripe struct {
	hits   atomic.Uint64
	misses atomic.Uint64
	_      [112]byte // keeps neighbours off this pair of cache lines
}

// stripe picks a stripe by where the goroutine's stack is: one goroutine keeps
// to one, and so its core keeps the cache line.
func (c *counters) stripe() *readStripe {
	var onStack byte
	at := uint64(uintptr(unsafe.Pointer(&onStack))) >> 11 // stacks are 2 KiB or more
	return &c.stripes[at*0x9e3779b97f4a7c15>>59]
}

func (c *counters) sum() (hits, misses uint64) {
	for i := range c.stripes {
		hits += c.stripes[i].hits.Load()
		misses += c.stripes[i].misses.Load()
	}
	return hits, misses
}

// Hit counts a hit: whoever uses Find says so when what was found was of use.
func (e *Engine[V]) Hit() {
	if e.counters.stripe().hits.Add(1)%refreshEach == 0 {
		e.clock.refresh()
	}
}

// Miss counts a miss.
func (e *Engine[V]) Miss() { e.counters.stripe().misses.Add(1) }

// Reads returns how many hits and misses were counted. It takes no lock.
func (e *Engine[V]) Reads() (hits, misses uint64) { return e.counters.sum() }

// Stats tells what the engine holds and what was counted.
type Stats struct {
	Hits, Misses uint64
	Entries      int64 // in the table, expired ones included, or about to be
	Weight       int64 // theirs
	Pinned       Limits
	Limits       Limits
}

// Stats takes the policy's lock for a moment.
func (e *Engine[V]) Stats() Stats {
	p := &e.policy
	p.mu.Lock()
	s := Stats{Entries: p.entries, Weight: p.weight, Pinned: p.pinned, Limits: p.limits}
	p.mu.Unlock()
	s.Hits, s.Misses = e.counters.sum()
	return s
}
