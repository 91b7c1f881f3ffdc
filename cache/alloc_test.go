//go:build !race

package cache_test

import (
	"context"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// A hit in memory allocates nothing but the closure that the caller makes, whether
// or not its entry ages.
func TestAllocationsOfAHit(t *testing.T) {
	c := openMemory(t)
	ctx := context.Background()
	v := cache.NewTyped[product](c, nil)
	find := func(context.Context, int64, *cache.Entry) (product, error) { return product{"tea", 3}, nil }
	byID := cache.NewLoading(c, find, nil)
	create := load(product{"tea", 3})
	aged := cache.Freshness{SoftTTL: time.Minute, StaleIfError: time.Hour, RefreshAhead: 1, SoftTimeout: time.Second}
	fresh := cache.NewTyped(c, &cache.TypedOptions[product]{Defaults: cache.EntryOptions{TTL: time.Hour}, Freshness: aged})
	aged.SoftTTL = time.Nanosecond
	stale := cache.NewTyped(c, &cache.TypedOptions[product]{Defaults: cache.EntryOptions{TTL: time.Hour}, Freshness: aged})
	for key, v := range map[string]*cache.Typed[product]{"fresh": fresh, "stale": stale} {
		if err := v.Set(ctx, key, product{"tea", 3}, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	hang := make(chan struct{})
	defer close(hang)
	refresh := func(context.Context, int64, *cache.Entry) (product, error) { <-hang; return product{}, nil }
	for stored := time.Now(); time.Since(stored) <= aged.SoftTTL; { // until it is stale
	}
	id := int64(1 << 40)
	agedByID := func(key string) *cache.Loading[int64, product] {
		opts := cache.LoadingOptions[int64, product]{AppendKey: func(dst []byte, _ int64) []byte { return append(dst, key...) }}
		opts.Defaults, opts.Freshness = cache.EntryOptions{TTL: time.Hour}, aged
		return cache.NewLoading(c, refresh, &opts)
	}
	freshByID, staleByID := agedByID("fresh"), agedByID("stale")
	if _, err := cache.GetOrCreateExclusiveWith(ctx, stale, "stale", id, refresh); err != nil {
		t.Fatal(err)
	}
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
		{"fresh, of an entry that ages", 0, func() { _, _ = cache.GetOrCreateExclusiveWith(ctx, fresh, "fresh", id, find) }},
		{"Get, of an entry that ages", 0, func() { _, _, _ = fresh.Get(ctx, "fresh") }},
		{"stale, while it is refreshed", 0, func() { _, _ = cache.GetOrCreateExclusiveWith(ctx, stale, "stale", id, refresh) }},
		{"Get, stale", 0, func() { _, _, _ = stale.Get(ctx, "stale") }},
		{"Loading", 0, func() { _, _ = byID.Get(ctx, id) }},
		{"Loading, fresh, of an entry that ages", 0, func() { _, _ = freshByID.Get(ctx, id) }},
		{"Loading, stale, while it is refreshed", 0, func() { _, _ = staleByID.Get(ctx, id) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(1000, tt.hit); got > tt.want {
			t.Errorf("%s: got %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}
