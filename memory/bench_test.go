package memory_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

type product struct{ ID int }

const benchKeys = 1024

func benchKey(i int) string { return fmt.Sprintf("product:%d", i) }

func BenchmarkGetObjectHit(b *testing.B) {
	cancelable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, bm := range []struct {
		name string
		ctx  context.Context
		opts cache.EntryOptions
	}{
		{"ttl", context.Background(), cache.EntryOptions{TTL: time.Hour}},
		{"ttl/cancelable", cancelable, cache.EntryOptions{TTL: time.Hour}},
		{"sliding", context.Background(), cache.EntryOptions{SlidingExpiration: time.Hour}},
		{"noexpiry", context.Background(), cache.EntryOptions{TTL: cache.NoExpiry}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := open(b, nil)
			keys := make([]string, benchKeys)
			for i := range keys {
				keys[i] = benchKey(i)
				if err := c.SetObject(bm.ctx, keys[i], &product{i}, bm.opts); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if _, ok, _ := c.GetObject(bm.ctx, keys[i%benchKeys]); !ok {
						b.Error("miss")
					}
				}
			})
		})
	}
}

func BenchmarkGetHit(b *testing.B) {
	for _, size := range []int{100, 1024} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c := open(b, nil)
			if err := c.Set(ctx, "key", make([]byte, size), cache.EntryOptions{}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Get(ctx, "key")
			}
		})
	}
}

func BenchmarkAppendToHit(b *testing.B) {
	c := open(b, nil)
	if err := c.Set(ctx, "key", make([]byte, 1024), cache.EntryOptions{}); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		c.AppendTo(ctx, buf, "key")
	}
}

func BenchmarkSetObject(b *testing.B) {
	c := open(b, &memory.Options{MaxBytes: 64 << 20})
	benchSet(b, func(key string, p *product) {
		c.SetObject(ctx, key, p, cache.EntryOptions{Size: 256})
	})
}

// BenchmarkSetObjectFull replaces entries all the time.
func BenchmarkSetObjectFull(b *testing.B) {
	c := open(b, &memory.Options{MaxEntries: benchKeys / 2})
	benchSet(b, func(key string, p *product) {
		c.SetObject(ctx, key, p, cache.EntryOptions{Size: 256})
	})
}

func benchSet(b *testing.B, set func(string, *product)) {
	keys := make([]string, benchKeys)
	for i := range keys {
		keys[i] = benchKey(i)
	}
	p := &product{1}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			set(keys[i%benchKeys], p)
		}
	})
}
