package faults

import (
	"context"

	"github.com/maypok86/otter/v2"
)

func openOtter(_ string, source load) (*loader, error) {
	c, err := otter.New(&otter.Options[string, string]{
		MaximumSize: capacity, ExpiryCalculator: otter.ExpiryWriting[string, string](ttl),
	})
	if err != nil {
		return nil, err
	}
	return &loader{
		name: "otter Get with loader",
		get: func(ctx context.Context, key string) (string, error) {
			return c.Get(ctx, key, otter.LoaderFunc[string, string](source))
		},
		remove: func(_ context.Context, key string) error { c.Invalidate(key); return nil },
		close:  func() error { c.StopAllGoroutines(); return nil },
	}, nil
}
