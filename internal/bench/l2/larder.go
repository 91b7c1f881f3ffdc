package l2

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

func openLarder(addr string) (*Client, error) {
	c, err := distributed.New(redis.NewClient(&redis.Options{Addr: addr}), &distributed.Options{
		CloseClient: true,
		Budget:      2 * time.Second, // a busy machine shall not spoil a run
	})
	if err != nil {
		return nil, err
	}
	return &Client{
		Name: Larder,
		Get:  c.Get,
		Set: func(ctx context.Context, key string, value []byte) error {
			return c.Set(ctx, key, value, cache.EntryOptions{TTL: TTL})
		},
		Close: func() error { return c.Close(context.Background()) },
	}, nil
}
