package faults

import (
	"context"

	"github.com/viccon/sturdyc"
)

func openSturdyc(_ string, source load) (*loader, error) {
	const shards, evictionPercent = 10, 10
	// Its evictions would run in a goroutine that nothing ends.
	c := sturdyc.New[string](capacity, shards, ttl, evictionPercent, sturdyc.WithNoContinuousEvictions())
	return &loader{
		name: "sturdyc GetOrFetch",
		get: func(ctx context.Context, key string) (string, error) {
			return c.GetOrFetch(ctx, key, func(ctx context.Context) (string, error) { return source(ctx, key) })
		},
		remove: func(_ context.Context, key string) error { c.Delete(key); return nil },
		close:  func() error { return nil },
	}, nil
}
