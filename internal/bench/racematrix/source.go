package racematrix

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
)

const (
	oldValue = "old"
	newValue = "new"
)

// changing is a source that holds the old value until it is written. Its first
// load has read, says so on read, and lingers until it is let go.
type changing struct {
	written atomic.Bool
	loads   atomic.Int64
	read    chan struct{}
	gate    *gate
}

func newChanging() *changing {
	return &changing{read: make(chan struct{}), gate: newGate()}
}

func (s *changing) load(context.Context, string) (string, error) {
	value := oldValue
	if s.written.Load() {
		value = newValue
	}
	if s.loads.Add(1) == 1 {
		close(s.read)
		<-s.gate.opened
	}
	return value, nil
}

// newKey returns a key that was not used before: servers and twins keep what a
// race left behind.
func newKey() string { return rand.Text() }

// gate is opened once, however often open is called.
type gate struct {
	opened chan struct{}
	once   sync.Once
}

func newGate() *gate { return &gate{opened: make(chan struct{})} }

func (g *gate) open() { g.once.Do(func() { close(g.opened) }) }
