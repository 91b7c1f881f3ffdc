package racematrix

import (
	"context"
	"encoding/json"
	"time"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
)

const (
	localEntries = 1000 // as in its documentation
	localTTL     = time.Minute
)

func goRedisModules() []string {
	return []string{"github.com/go-redis/cache/v9", "github.com/redis/go-redis/v9"}
}

func goRedisCache() Contender {
	return Contender{
		Name: "go-redis/cache", Modules: goRedisModules(), OnRedis: true,
		Use:   "Once, Delete; Marshal and Unmarshal of encoding/json; the client with ContextTimeoutEnabled",
		Texts: openGoRedisCache[string], Numbers: openGoRedisCache[int],
		Pointers: openGoRedisCache[*int], Bytes: openGoRedisCache[[]byte],
		Hasty: func(addr string, source Source[string]) (*Cache[string], error) {
			return goRedisOnce(hasty(addr), nil, source), nil
		},
	}
}

func goRedisCacheLocal() Contender {
	return Contender{
		Name: "go-redis/cache, local", Modules: goRedisModules(), OnRedis: true,
		Use:   "the same with the LocalCache of its documentation, NewTinyLFU(1000, time.Minute)",
		Texts: openGoRedisCacheLocal[string], Numbers: openGoRedisCacheLocal[int],
		Pointers: openGoRedisCacheLocal[*int], Bytes: openGoRedisCacheLocal[[]byte],
		Hasty: func(addr string, source Source[string]) (*Cache[string], error) {
			return goRedisOnce(hasty(addr), cache.NewTinyLFU(localEntries, localTTL), source), nil
		},
	}
}

func openGoRedisCache[V any](addr string, source Source[V]) (*Cache[V], error) {
	return goRedisOnce(&redis.Options{Addr: addr}, nil, source), nil
}

func openGoRedisCacheLocal[V any](addr string, source Source[V]) (*Cache[V], error) {
	return goRedisOnce(&redis.Options{Addr: addr}, cache.NewTinyLFU(localEntries, localTTL), source), nil
}

// hasty are the options of a client that gives up soon.
func hasty(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, MaxRetries: -1,
		DialTimeout: hastyTimeout, ReadTimeout: hastyTimeout, WriteTimeout: hastyTimeout,
	}
}

func goRedisOnce[V any](options *redis.Options, local cache.LocalCache, source Source[V]) *Cache[V] {
	options.ContextTimeoutEnabled = true // or the client does not heed deadlines
	client := redis.NewClient(options)
	// Its own encoding does not tell an empty slice from a nil one.
	c := cache.New(&cache.Options{Redis: client, LocalCache: local, Marshal: json.Marshal, Unmarshal: json.Unmarshal})
	return &Cache[V]{
		Get: func(ctx context.Context, key string) (value V, err error) {
			err = c.Once(&cache.Item{
				Ctx: ctx, Key: key, Value: &value, TTL: ttl,
				Do: func(*cache.Item) (any, error) { return source(ctx, key) },
			})
			return value, err
		},
		Remove: c.Delete,
		Close:  client.Close,
	}
}
