package patterns_test

import (
	"context"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// BenchmarkHit reads what is cached: through the typed layer, and through the
// wrappers that stand on it.
func BenchmarkHit(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	benchmarkHit(b, ctx)
}

// BenchmarkHitInRequest is BenchmarkHit with a context such as a server's handler
// has it.
func BenchmarkHitInRequest(b *testing.B) { benchmarkHit(b, inRequest(b)) }

// BenchmarkHitInBackground is BenchmarkHit with a context that holds nothing.
func BenchmarkHitInBackground(b *testing.B) { benchmarkHit(b, context.Background()) }

// inRequest returns a context with what middleware puts into one.
func inRequest(t testing.TB) context.Context {
	type key int
	ctx := context.WithValue(t.Context(), key(1), "server")
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup(cancel)
	ctx = context.WithValue(ctx, key(2), "route")
	ctx = context.WithValue(ctx, key(3), "user")
	ctx, cancel = context.WithTimeout(ctx, time.Hour)
	t.Cleanup(cancel)
	return context.WithValue(ctx, key(4), "trace")
}

func benchmarkHit(b *testing.B, ctx context.Context) {
	c := openMemory(b)
	s := newTable(map[int]product{1: apple})
	loading := cache.NewLoading(c, func(ctx context.Context, id int, _ *cache.Entry) (product, error) { return s.Find(ctx, id) }, nil)
	aside := must(patterns.NewCacheAside(c, repository(s), patterns.Entity[int, product]{}))
	read := must(patterns.NewReadThrough(c, s.Find, patterns.Entity[int, product]{}))
	through := must(patterns.NewWriteThrough(c, repository(s), patterns.Entity[int, product]{}, nil))
	for _, r := range []struct {
		name string
		find func(ctx context.Context, id int) (product, error)
	}{{"loading", loading.Get}, {"aside", aside.Find}, {"read", read.Find}, {"through", through.Find}} {
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
