package l2

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/bench/redisserver"
)

// missGoroutines is how many callers miss at once, each a key of its own.
const missGoroutines = 64

// BenchmarkMiss is the whole way of a miss whose load costs nothing: larder's
// look-up, lease and fill, beside the recipe that is found everywhere, with
// go-redis: GET, SET NX of a lock, load, SET, DEL of the lock. The recipe's
// answer is worth less: a value that was loaded before a removal is stored after
// it, and a lock that ran out is taken from whoever has it now.
//
// It needs a redis-server on PATH.
func BenchmarkMiss(b *testing.B) {
	server, err := redisserver.Start(b.Context())
	if errors.Is(err, redisserver.ErrMissing) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr})
	defer client.Close()
	c, err := distributed.New(client, &distributed.Options{Budget: 10 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close(context.Background()) }()
	view := cache.NewTyped(c, &cache.TypedOptions[string]{Codec: cache.Text(), Defaults: cache.EntryOptions{TTL: TTL}})
	value := string(Payload(100))
	load := func(context.Context, *cache.Entry) (string, error) { return value, nil }

	b.Run("larder", func(b *testing.B) {
		misses(b, client, func(ctx context.Context, key string) (string, error) {
			return view.GetOrCreateExclusive(ctx, key, load)
		})
	})
	b.Run("recipe", func(b *testing.B) {
		misses(b, client, func(ctx context.Context, key string) (string, error) {
			return recipe(ctx, client, key, func() string { return value })
		})
	})
}

// recipe is cache-aside with a lock, as it is usually written.
func recipe(ctx context.Context, client *redis.Client, key string, load func() string) (string, error) {
	for {
		value, err := client.Get(ctx, key).Result()
		if !errors.Is(err, redis.Nil) {
			return value, err
		}
		got, err := client.SetNX(ctx, "lock:"+key, "1", 5*time.Second).Result()
		if err != nil {
			return "", err
		}
		if !got {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		value = load()
		if err := client.Set(ctx, key, value, TTL).Err(); err != nil {
			return "", err
		}
		return value, client.Del(ctx, "lock:"+key).Err()
	}
}

// misses shares b.N keys that nobody has asked for between the goroutines.
func misses(b *testing.B, client *redis.Client, get func(ctx context.Context, key string) (string, error)) {
	b.ReportAllocs()
	prefix := b.Name() + "/" + strconv.Itoa(b.N) + "/" + strconv.FormatInt(time.Now().UnixNano(), 36) + "/"
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for range missGoroutines {
		all.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if got, err := get(b.Context(), prefix+strconv.FormatInt(i, 10)); err != nil || len(got) != 100 {
					b.Errorf("got %d bytes and %v, want a value", len(got), err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "misses/s")
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		b.Error(err)
	}
}
