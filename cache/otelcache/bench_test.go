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
	for _, observed := range []bool{false, true} {
		name := map[bool]string{false: "unobserved", true: "observed"}[observed]
		b.Run(name, func(b *testing.B) {
			in, err := otelcache.New(otelcache.Options{})
			if err != nil {
				b.Fatal(err)
			}
			opts := &memory.Options{}
			if observed {
				opts.Observer = in.Observer()
			}
			c, err := memory.New(opts)
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
