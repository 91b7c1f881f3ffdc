//go:build invariants

package engine

import "sync/atomic"

// invariants has every engine verify itself while it is in use, for stress runs:
// go test -tags invariants.
type invariants[V any] struct{ changes atomic.Int64 }

// verifyEach is how many changes go by before the engine is verified, at least.
// It grows with the engine, so that it costs the same part of the time.
const verifyEach = 256

// check is called after each change, with no lock held.
func (i *invariants[V]) check(e *Engine[V]) {
	if i.changes.Add(1) < max(verifyEach, e.Stats().Entries) {
		return
	}
	i.changes.Store(0)
	if err := e.verifyWhile(true); err != nil {
		panic("engine: " + err.Error())
	}
}
