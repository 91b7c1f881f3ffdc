package racematrix

import (
	"context"
	"errors"

	"github.com/maypok86/otter/v2"
)

func otterCache() Contender {
	return Contender{
		Name: "otter", Modules: []string{"github.com/maypok86/otter/v2"},
		Use:   "Get with a LoaderFunc, Invalidate",
		Texts: openOtter[string], Numbers: openOtter[int], Pointers: openOtter[*int], Bytes: openOtter[[]byte],
	}
}

func openOtter[V any](_ string, source Source[V]) (*Cache[V], error) {
	c, err := otter.New(&otter.Options[string, V]{
		MaximumSize: capacity, ExpiryCalculator: otter.ExpiryWriting[string, V](ttl),
	})
	if err != nil {
		return nil, err
	}
	load := otter.LoaderFunc[string, V](func(ctx context.Context, key string) (V, error) {
		value, err := source(ctx, key)
		if errors.Is(err, errAbsent) {
			err = otter.ErrNotFound
		}
		return value, err
	})
	return &Cache[V]{
		Get: func(ctx context.Context, key string) (V, error) {
			value, err := c.Get(ctx, key, load)
			if errors.Is(err, otter.ErrNotFound) {
				err = errAbsent
			}
			return value, err
		},
		Remove: func(_ context.Context, key string) error { c.Invalidate(key); return nil },
		Close:  func() error { c.StopAllGoroutines(); return nil },
	}, nil
}
