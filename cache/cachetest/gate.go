package cachetest

import (
	"context"
	"sync"
)

// Gate holds whoever comes to it until the test opens it, so that a test can
// make calls meet at a point of its choice, without sleeping. It is for
// [Fault.Gate], and for a test's own code, such as a loader, through Pass. It
// is safe for concurrent use. In a synctest bubble, make it inside.
type Gate struct {
	opened chan struct{} // closed by Open

	mu      sync.Mutex
	held    int
	arrived chan struct{} // closed and replaced when someone arrives
}

// NewGate returns a closed gate.
func NewGate() *Gate {
	return &Gate{opened: make(chan struct{}), arrived: make(chan struct{})}
}

// Open lets everyone through, now and later. It is idempotent.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.opened:
	default:
		close(g.opened)
	}
}

// Held returns how many wait at the gate now.
func (g *Gate) Held() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// Wait returns when at least n wait at the gate, or ctx ends, with its error.
func (g *Gate) Wait(ctx context.Context, n int) error {
	for {
		g.mu.Lock()
		enough, arrived := g.held >= n, g.arrived
		g.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Pass waits until the gate is open, or ctx ends, and then returns its error.
func (g *Gate) Pass(ctx context.Context) error {
	select {
	case <-g.opened:
		return nil
	default:
	}
	g.count(1)
	defer g.count(-1)
	select {
	case <-g.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *Gate) count(change int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held += change
	if change > 0 {
		close(g.arrived)
		g.arrived = make(chan struct{})
	}
}
