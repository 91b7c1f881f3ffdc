//go:build !race

package near

import (
	"context"
	"testing"

	"github.com/larder-go/larder/cache"
)

// A hit in this process allocates nothing.
func TestAllocationsOfAHit(t *testing.T) {
	r := newRig(t, Options{})
	load := func(context.Context, int, *cache.Entry) (string, error) { return "v", nil }
	byID := cache.NewLoading(r.near, load, nil)
	for range 2 {
		if _, err := byID.Get(r.ctx, 1<<30); err != nil {
			t.Fatal(err)
		}
	}
	r.hold("k", "v", inRegion("x"))
	create := func(context.Context, *cache.Entry) (string, error) { return "v", nil }
	tests := []struct {
		name string
		hit  func()
	}{
		{"Typed.Get", func() { _, _, _ = r.names.Get(r.ctx, "k") }},
		{"Typed.GetOrCreateExclusive", func() { _, _ = r.names.GetOrCreateExclusive(r.ctx, "k", create) }},
		{"GetOrCreateExclusiveWith", func() { _, _ = cache.GetOrCreateExclusiveWith(r.ctx, r.names, "k", 7, load) }},
		{"Loading.Get", func() { _, _ = byID.Get(r.ctx, 1<<30) }},
	}
	for _, test := range tests {
		before := r.near.NearStats().Hits
		if got := testing.AllocsPerRun(1000, test.hit); got != 0 {
			t.Errorf("%s: %v allocations, want none", test.name, got)
		}
		if got := r.near.NearStats().Hits - before; got < 1000 {
			t.Errorf("%s: %d hits of 1000 in this process", test.name, got)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	r := newRig(b, Options{Bound: maxBound})
	r.hold("k", "v", cache.EntryOptions{})
	for b.Loop() {
		_, _, _ = r.names.Get(r.ctx, "k")
	}
}

func BenchmarkHitOfMemory(b *testing.B) {
	r := newRig(b, Options{Bound: maxBound})
	v := cache.NewTyped[string](r.near.local, nil)
	r.must(v.Set(r.ctx, "k", "v", cache.EntryOptions{}))
	for b.Loop() {
		_, _, _ = v.Get(r.ctx, "k")
	}
}
