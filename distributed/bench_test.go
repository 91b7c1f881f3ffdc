package distributed_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// BenchmarkVersions measures changes under a condition against those without
// one, and against what a bare client does with WATCH and MULTI. Every caller
// has a key of its own.
func BenchmarkVersions(b *testing.B) {
	s := redistest.Server(b)
	c, client := open(b, s.Client(), distributed.Options{}), s.Client()
	ctx := b.Context()
	value := make([]byte, 1024)
	// Each makes a function that changes key, of which v is the version.
	for _, op := range []struct {
		name string
		by   func(key string, v cache.Version) func() error
	}{
		{"Set", func(key string, _ cache.Version) func() error {
			return func() error { return c.Set(ctx, key, value, forever) }
		}},
		{"CompareAndSet", func(key string, v cache.Version) func() error {
			return func() (err error) {
				v, err = c.CompareAndSet(ctx, key, value, v, forever)
				return err
			}
		}},
		{"GetItemCompareAndSet", func(key string, _ cache.Version) func() error {
			return func() error {
				item, _, err := c.GetItem(ctx, key)
				if err == nil {
					_, err = c.CompareAndSet(ctx, key, value, item.Version, forever)
				}
				return err
			}
		}},
		{"WatchMulti", func(key string, _ cache.Version) func() error {
			return func() error {
				return client.Watch(ctx, func(tx *redis.Tx) error {
					if err := tx.Get(ctx, key).Err(); err != nil {
						return err
					}
					_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
						p.Set(ctx, key, value, 0)
						return nil
					})
					return err
				}, key)
			}
		}},
		{"Get", func(key string, _ cache.Version) func() error {
			return func() error { _, _, err := c.Get(ctx, key); return err }
		}},
		{"GetItem", func(key string, _ cache.Version) func() error {
			return func() error { _, _, err := c.GetItem(ctx, key); return err }
		}},
		{"GetIfNewerSame", func(key string, v cache.Version) func() error {
			return func() error { _, _, _, err := c.GetIfNewer(ctx, key, v); return err }
		}},
		{"LockUnlock", func(key string, _ cache.Version) func() error {
			return func() error {
				_, handle, err := c.GetAndLock(ctx, key, time.Minute, cache.LockOptions{})
				if err == nil {
					err = c.Unlock(ctx, key, handle, 0)
				}
				return err
			}
		}},
	} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", op.name, callers), func(b *testing.B) {
				changes := make([]func() error, callers)
				for i := range changes {
					key := fmt.Sprint("k", i)
					must(b, c.Remove(ctx, key))
					v, err := c.Add(ctx, key, value, forever)
					must(b, err)
					changes[i] = op.by(key, v)
				}
				b.ReportAllocs()
				b.ResetTimer()
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				for _, change := range changes {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if err := change(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

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
