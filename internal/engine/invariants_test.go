//go:build invariants

package engine

import (
	"fmt"
	"testing"
)

// An engine whose sums are off notices while it is in use.
func TestAFaultIsNoticedInUse(t *testing.T) {
	e := New(Options[int]{Limits: Limits{Entries: 100}})
	for i := range 2 * verifyEach {
		mustSet(t, e, node(fmt.Sprint(i), i))
	}
	e.policy.weight++
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	for i := range 2 * verifyEach {
		mustSet(t, e, node(fmt.Sprint(i), i))
	}
}
