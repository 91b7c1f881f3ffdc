package faults

import (
	"context"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
)

func openGoRedisCache(addr string, source load) (*loader, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	c := cache.New(&cache.Options{Redis: client})
	return &loader{
		name: "go-redis/cache Once",
		get: func(ctx context.Context, key string) (value string, err error) {
			err = c.Once(&cache.Item{
				Ctx: ctx, Key: "go-redis:" + key, Value: &value, TTL: ttl,
				Do: func(*cache.Item) (any, error) { return source(ctx, key) },
			})
			return value, err
		},
		remove: func(ctx context.Context, key string) error { return c.Delete(ctx, "go-redis:"+key) },
		close:  client.Close,
	}, nil
}
