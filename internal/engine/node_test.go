package engine

import (
	"math"
	"strings"
	"testing"
)

// Weights of more than 32 bits, and keys of any length up to the longest, are
// what they were given as.
func TestNodesKnowTheirWeightAndKey(t *testing.T) {
	for _, weight := range []int64{-1, 0, 1, tooHeavy - 1, tooHeavy, tooHeavy + 1, math.MaxInt64} {
		for _, length := range []int{0, 1, 1024, MaxKeyLength} {
			key := strings.Repeat("k", length)
			e := New(Options[int]{})
			if err := e.Set(NewNode(key, 7, weight, Never, weight > 1)); err != nil {
				t.Fatal(err)
			}
			n := e.Find(key)
			if n == nil {
				t.Fatalf("weight %d: a key of %d bytes is not found", weight, length)
			}
			if n.Weight() != max(0, weight) || n.Key() != key || n.Value != 7 || n.Pinned() != (weight > 1) {
				t.Errorf("got weight %d, a key of %d bytes, pinned %t, want %d, %d, %t",
					n.Weight(), len(n.Key()), n.Pinned(), max(0, weight), length, weight > 1)
			}
			if other := e.Find(key + "k"); other != nil {
				t.Errorf("a key of %d bytes is found under a longer one", length)
			}
			if got := e.Stats().Weight; got != max(0, weight) {
				t.Errorf("the engine holds %d, want %d", got, max(0, weight))
			}
			e.Remove(key)
			if got := e.Stats(); got.Weight != 0 || got.Pinned.Weight != 0 {
				t.Errorf("after the removal of %d: got %+v", weight, got)
			}
		}
	}
}

func TestKeysThatAreTooLongAreRefused(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got a node")
		}
	}()
	NewNode(strings.Repeat("k", MaxKeyLength+1), 0, 0, Never, false)
}
