package l2

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

func openGoRedis(addr string) (*Client, error) {
	c := redis.NewClient(&redis.Options{Addr: addr})
	return &Client{
		Name: Plain,
		Get: func(ctx context.Context, key string) ([]byte, bool, error) {
			return found(c.Get(ctx, key).Bytes())
		},
		Set: func(ctx context.Context, key string, value []byte) error {
			return c.Set(ctx, key, value, TTL).Err()
		},
		Close: c.Close,
	}, nil
}

// openAutoPipeline is go-redis with commands of many goroutines sent together,
// with its own defaults.
func openAutoPipeline(addr string) (*Client, error) {
	c := redis.NewClient(&redis.Options{Addr: addr})
	auto, err := c.AutoPipeline()
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &Client{
		Name: "go-redis AutoPipeline",
		Get: func(ctx context.Context, key string) ([]byte, bool, error) {
			return found(auto.Get(ctx, key).Bytes())
		},
		Set: func(ctx context.Context, key string, value []byte) error {
			return auto.Set(ctx, key, value, TTL).Err()
		},
		Close: func() error { return errors.Join(auto.Close(), c.Close()) },
	}, nil
}

func found(value []byte, err error) ([]byte, bool, error) {
	if errors.Is(err, redis.Nil) {
		return nil, false, nil
	}
	return value, err == nil, err
}
