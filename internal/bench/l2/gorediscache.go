package l2

import (
	"context"
	"errors"

	"github.com/go-redis/cache/v9"
	"github.com/redis/go-redis/v9"
)

// openGoRedisCache is go-redis/cache without its local cache. It stores byte
// slices as they are.
func openGoRedisCache(addr string) (*Client, error) {
	client := redis.NewClient(&redis.Options{Addr: addr})
	c := cache.New(&cache.Options{Redis: client})
	return &Client{
		Name: "go-redis/cache",
		Get: func(ctx context.Context, key string) (value []byte, found bool, err error) {
			err = c.Get(ctx, key, &value)
			if errors.Is(err, cache.ErrCacheMiss) {
				return nil, false, nil
			}
			return value, err == nil, err
		},
		Set: func(ctx context.Context, key string, value []byte) error {
			return c.Set(&cache.Item{Ctx: ctx, Key: key, Value: value, TTL: TTL})
		},
		Close: client.Close,
	}, nil
}
