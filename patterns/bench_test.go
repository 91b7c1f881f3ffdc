package patterns_test

import (
	"context"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// BenchmarkHit reads what is cached: through the typed layer, and through the
// wrappers that stand on it.
func BenchmarkHit(b *testing.B) {
	c := openMemory(b)
	s := newTable(map[int]product{1: apple})
	loading := cache.NewLoading(c, func(ctx context.Context, id int, _ *cache.Entry) (product, error) { return s.Find(ctx, id) }, nil)
	aside := must(patterns.NewCacheAside(c, repository(s), patterns.Entity[int, product]{}))
	through := must(patterns.NewWriteThrough(c, repository(s), patterns.Entity[int, product]{}, nil))
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	for _, r := range []struct {
		name string
		find func(ctx context.Context, id int) (product, error)
	}{{"loading", loading.Get}, {"aside", aside.Find}, {"through", through.Find}} {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v, err := r.find(ctx, 1); err != nil || v != apple {
					b.Fatal(v, err)
				}
			}
		})
	}
}
