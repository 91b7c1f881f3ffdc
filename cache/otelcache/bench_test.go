package otelcache_test

import (
	"context"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/otelcache"
	"github.com/larder-go/larder/memory"
)

// What an observer adds to a hit in memory, and to another event.
func BenchmarkHit(b *testing.B) {
	in, err := otelcache.New(otelcache.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, by := range []struct {
		name     string
		observer cache.Observer
	}{
		{"nobody", nil},
		{"nothing", cache.ObserverFunc(func(context.Context, cache.Event) {})},
		{"otelcache", in.Observer()},
	} {
		b.Run("observer="+by.name, func(b *testing.B) {
			c, err := memory.New(&memory.Options{Observer: by.observer})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(context.Background())
			names := cache.NewTyped[string](c, nil)
			if err := names.Set(b.Context(), "k", "v", cache.EntryOptions{}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, found, err := names.Get(b.Context(), "k"); !found || err != nil {
					b.Fatal(found, err)
				}
			}
		})
	}
}

func BenchmarkEvent(b *testing.B) {
	in, err := otelcache.New(otelcache.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, o := context.Background(), in.Observer()
	b.ReportAllocs()
	for b.Loop() {
		o.Observe(ctx, cache.Event{Kind: cache.EventEviction, Layer: "memory", Detail: "capacity"})
	}
}
