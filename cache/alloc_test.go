//go:build !race

package cache_test

import (
	"context"
	"testing"

	"github.com/larder-go/larder/cache"
)

// A hit in memory allocates nothing but the closure that the caller makes.
func TestAllocationsOfAHit(t *testing.T) {
	c := openMemory(t)
	ctx := context.Background()
	v := cache.NewTyped[product](c, nil)
	find := func(context.Context, int64, *cache.Entry) (product, error) { return product{"tea", 3}, nil }
	byID := cache.NewLoading(c, find, nil)
	create := load(product{"tea", 3})
	id := int64(1 << 40)
	if _, err := byID.Get(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := v.GetOrCreateExclusive(ctx, "k", create); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		want float64
		hit  func()
	}{
		{"Get", 0, func() { _, _, _ = v.Get(ctx, "k") }},
		{"GetOrCreateExclusive, no closure", 0, func() { _, _ = v.GetOrCreateExclusive(ctx, "k", create) }},
		{"GetOrCreateExclusive, capturing", 1, func() {
			_, _ = v.GetOrCreateExclusive(ctx, "k", func(ctx context.Context, e *cache.Entry) (product, error) { return find(ctx, id, e) })
		}},
		{"GetOrCreateExclusiveWith", 0, func() { _, _ = cache.GetOrCreateExclusiveWith(ctx, v, "k", id, find) }},
		{"package function, no closure", 0, func() { _, _ = cache.GetOrCreateExclusive(ctx, c, "k", create) }},
		{"Loading", 0, func() { _, _ = byID.Get(ctx, id) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(1000, tt.hit); got > tt.want {
			t.Errorf("%s: got %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}
