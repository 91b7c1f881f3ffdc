package engine

import (
	"sync"
	"sync/atomic"
)

// parkingMutex is a lock whose waiters sleep at once. Those of a sync.Mutex spin
// first, and mostly get it then: so what it guards goes back and forth between the
// caches of the cores, line by line, for each holder. While they sleep one core
// does the work of many holders with all of it at hand.
//
// It is not fair: a waiter that was woken competes with those who come just then.
// What it guards must be short, and its holders must not always be at it.
//
// Use init before anything else.
type parkingMutex struct {
	state atomic.Int32 // 0: free; 1: held; 2: held, and somebody may be waiting

	mu     sync.Mutex // guards waiting: who finds state not free sets it to 2 under it
	waiter sync.Cond
}

func (m *parkingMutex) init() { m.waiter.L = &m.mu }

func (m *parkingMutex) Lock() {
	if !m.state.CompareAndSwap(0, 1) {
		m.lockSlowly()
	}
}

// lockSlowly leaves state at 2, for it cannot tell whether others wait too.
func (m *parkingMutex) lockSlowly() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.state.Swap(2) != 0 {
		m.waiter.Wait()
	}
}

func (m *parkingMutex) Unlock() {
	if m.state.Swap(0) == 2 {
		m.mu.Lock()
		m.waiter.Signal()
		m.mu.Unlock()
	}
}
