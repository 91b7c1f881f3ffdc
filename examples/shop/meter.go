package main

import (
	"slices"
	"sync"
	"time"
)

// meter counts reads and knows how long the last ones took. The zero meter is
// ready to use.
type meter struct {
	mu     sync.Mutex
	reads  int // entities asked for
	calls  int
	recent [200]time.Duration // of the last calls
}

// measure begins a call for n entities; what it returns ends it. One that is not
// ended does not count.
func (m *meter) measure(n int) (end func()) {
	began := time.Now()
	return func() {
		took := time.Since(began)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.recent[m.calls%len(m.recent)] = took
		m.calls++
		m.reads += n
	}
}

// uncount takes n reads out of the count again, but not how long they took.
func (m *meter) uncount(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads -= n
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads, m.calls = 0, 0
}

// figures returns how many entities were asked for, and how long the median of
// the last calls took.
func (m *meter) figures() (reads int, median time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := slices.Sorted(slices.Values(m.recent[:min(m.calls, len(m.recent))]))
	if len(last) > 0 {
		median = last[len(last)/2]
	}
	return m.reads, median
}
