//go:build !invariants

package engine

// invariants has nothing to do; see invariants_on.go.
type invariants[V any] struct{}

func (invariants[V]) check(*Engine[V]) {}
