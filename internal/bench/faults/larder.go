package faults

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/memory"
)

func openLarderMemory(_ string, source load) (*loader, error) {
	c, err := memory.New(&memory.Options{MaxEntries: capacity, Defaults: cache.EntryOptions{TTL: ttl}})
	if err != nil {
		return nil, err
	}
	return larderLoader("larder, memory", c, source), nil
}

func openLarderRedis(addr string, source load) (*loader, error) {
	c, err := distributed.New(redis.NewClient(&redis.Options{Addr: addr}), &distributed.Options{
		Prefix: "larder:", Defaults: cache.EntryOptions{TTL: ttl}, CloseClient: true,
	})
	if err != nil {
		return nil, err
	}
	return larderLoader("larder, Redis", c, source), nil
}

func larderLoader(name string, c cache.Backend, source load) *loader {
	l := cache.NewLoading(c,
		func(ctx context.Context, key string, _ *cache.Entry) (string, error) { return source(ctx, key) }, nil)
	return &loader{
		name: name, get: l.Get, remove: l.Remove,
		close: func() error { return c.Close(context.Background()) },
	}
}
