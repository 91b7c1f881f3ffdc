package faults

import (
	"context"

	"github.com/Yiling-J/theine-go"
)

func openTheine(_ string, source load) (*loader, error) {
	c, err := theine.NewBuilder[string, string](capacity).Loading(
		func(ctx context.Context, key string) (theine.Loaded[string], error) {
			value, err := source(ctx, key)
			return theine.Loaded[string]{Value: value, Cost: 1, TTL: ttl}, err
		}).Build()
	if err != nil {
		return nil, err
	}
	return &loader{
		name:   "theine LoadingCache",
		get:    c.Get,
		remove: func(_ context.Context, key string) error { c.Delete(key); return nil },
		close:  func() error { c.Close(); return nil },
	}, nil
}
