package racematrix

import (
	"context"

	"github.com/Yiling-J/theine-go"
)

func theineCache() Contender {
	return Contender{
		Name: "theine", Modules: []string{"github.com/Yiling-J/theine-go"},
		Use:   "a loading cache: Get, Delete",
		Texts: openTheine[string], Numbers: openTheine[int], Pointers: openTheine[*int], Bytes: openTheine[[]byte],
	}
}

func openTheine[V any](_ string, source Source[V]) (*Cache[V], error) {
	c, err := theine.NewBuilder[string, V](capacity).Loading(
		func(ctx context.Context, key string) (theine.Loaded[V], error) {
			value, err := source(ctx, key)
			return theine.Loaded[V]{Value: value, Cost: 1, TTL: ttl}, err
		}).Build()
	if err != nil {
		return nil, err
	}
	return &Cache[V]{
		Get:    c.Get,
		Remove: func(_ context.Context, key string) error { c.Delete(key); return nil },
		Close:  func() error { c.Close(); return nil },
	}, nil
}
