package near

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/tracking"
	"github.com/larder-go/larder/memory"
)

// OnEvict may use the cache, as memory.Options promise: it runs under no lock.
func TestCallbacksOfTheLocalTierMayUseTheCache(t *testing.T) {
	var r *rig
	var evicted atomic.Int64
	r = newRig(t, Options{Local: memory.Options{OnEvict: func(e memory.Eviction) {
		if evicted.Add(1) == 1 {
			_ = r.near.Remove(r.ctx, e.Key)
		}
	}}})
	r.write("k", "v", cache.EntryOptions{})
	first, second := r.fetch("k"), r.fetch("k")
	done := make(chan struct{})
	go func() {
		defer close(done)
		first()
		second() // replaces what the first one put
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a callback waits for a lock that its caller holds")
	}
	if evicted.Load() == 0 {
		t.Error("nothing was evicted: the test shows nothing")
	}
}

// What was held while there were news is not held on when there will be none: it
// has no bound of its own.
func TestWithoutNewsNothingFromBeforeIsServed(t *testing.T) {
	r := newRig(t, Options{})
	r.hold("k", "v", cache.EntryOptions{})
	r.hand.unsupported = true
	r.hand.Lost(tracking.ErrUnsupported)
	r.wantHeld("k", false)
	r.hold("other", "v", cache.EntryOptions{})
}
