package racematrix

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/memory"
)

func larderMemory() Contender {
	return Contender{
		Name: "larder, memory", Ours: true,
		Use:   "memory.New and cache.NewLoading, with NegativeTTL",
		Texts: openLarderMemory[string], Numbers: openLarderMemory[int],
		Pointers: openLarderMemory[*int], Bytes: openLarderMemory[[]byte],
	}
}

func larderRedis() Contender {
	return Contender{
		Name: "larder, Redis", Ours: true, OnRedis: true,
		Use:   "distributed.New and cache.NewLoading, with NegativeTTL",
		Texts: openLarderRedis[string], Numbers: openLarderRedis[int],
		Pointers: openLarderRedis[*int], Bytes: openLarderRedis[[]byte],
		Hasty: func(addr string, source Source[string]) (*Cache[string], error) {
			return larderOn(hasty(addr), source)
		},
	}
}

func openLarderMemory[V any](_ string, source Source[V]) (*Cache[V], error) {
	c, err := memory.New(&memory.Options{MaxEntries: capacity, Defaults: cache.EntryOptions{TTL: ttl}})
	if err != nil {
		return nil, err
	}
	return larderCache(c, source), nil
}

func openLarderRedis[V any](addr string, source Source[V]) (*Cache[V], error) {
	return larderOn(&redis.Options{Addr: addr}, source)
}

func larderOn[V any](client *redis.Options, source Source[V]) (*Cache[V], error) {
	c, err := distributed.New(redis.NewClient(client), &distributed.Options{
		Prefix: "larder:", Defaults: cache.EntryOptions{TTL: ttl}, CloseClient: true,
	})
	if err != nil {
		return nil, err
	}
	return larderCache(c, source), nil
}

func larderCache[V any](c cache.Backend, source Source[V]) *Cache[V] {
	load := func(ctx context.Context, key string, _ *cache.Entry) (V, error) {
		value, err := source(ctx, key)
		if errors.Is(err, errAbsent) {
			err = cache.ErrNotFound
		}
		return value, err
	}
	l := cache.NewLoading(c, load, &cache.LoadingOptions[string, V]{
		TypedOptions: cache.TypedOptions[V]{NegativeTTL: ttl},
		AppendKey:    func(dst []byte, key string) []byte { return append(dst, key...) },
	})
	return &Cache[V]{
		Get: func(ctx context.Context, key string) (V, error) {
			value, err := l.Get(ctx, key)
			if errors.Is(err, cache.ErrNotFound) {
				err = errAbsent
			}
			return value, err
		},
		Remove: l.Remove,
		Close:  func() error { return c.Close(context.Background()) },
	}
}
