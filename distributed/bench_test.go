package distributed_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// BenchmarkServer measures calls against a redis-server on this machine, by the
// number of concurrent callers.
func BenchmarkServer(b *testing.B) {
	c := open(b, redistest.Server(b).Client(), distributed.Options{})
	ctx := b.Context()
	value := make([]byte, 1024)
	keys := make([]string, 1000)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
		must(b, c.Set(ctx, keys[i], value, forever))
		must(b, c.Set(ctx, "sliding"+keys[i], value, cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}))
	}
	bounded := cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}
	for _, op := range []struct {
		name string
		do   func(key string) error
	}{
		{"Get", func(key string) error { _, _, err := c.Get(ctx, key); return err }},
		{"GetSliding", func(key string) error { _, _, err := c.Get(ctx, "sliding"+key); return err }},
		{"Set", func(key string) error { return c.Set(ctx, key, value, forever) }},
		{"SetBounded", func(key string) error { return c.Set(ctx, "sliding"+key, value, bounded) }},
		{"Increment", func(string) error { _, err := c.Increment(ctx, "n", 1, forever); return err }},
		{"LeaseFill", func(key string) error {
			reply, err := c.Lease(ctx, "lease"+key, time.Minute)
			if err != nil || reply.State != cache.LeaseGranted {
				return err
			}
			if err := c.Set(ctx, "lease"+key, value, fillWith(reply.Lease)); err != nil {
				return err
			}
			return c.Remove(ctx, "lease"+key)
		}},
	} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", op.name, callers), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism((callers + 1) / 2)
				if callers == 1 {
					for i := range b.N {
						must(b, op.do(keys[i%len(keys)]))
					}
					return
				}
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						if err := op.do(keys[i%len(keys)]); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
