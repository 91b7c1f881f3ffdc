package racematrix

import (
	"context"
	"errors"

	"github.com/viccon/sturdyc"
)

func sturdycCache() Contender {
	const ownStorage = "what it shares with other processes goes through an interface that its user implements"
	return Contender{
		Name: "sturdyc", Modules: []string{"github.com/viccon/sturdyc"},
		Use:           "GetOrFetch with WithMissingRecordStorage, Delete",
		NotApplicable: map[string]string{"8": ownStorage, "9": ownStorage},
		Texts:         openSturdyc[string], Numbers: openSturdyc[int], Pointers: openSturdyc[*int], Bytes: openSturdyc[[]byte],
	}
}

func openSturdyc[V any](_ string, source Source[V]) (*Cache[V], error) {
	const shards, evictionPercent = 10, 10
	// Its evictions would run in a goroutine that nothing ends.
	c := sturdyc.New[V](capacity, shards, ttl, evictionPercent,
		sturdyc.WithNoContinuousEvictions(), sturdyc.WithMissingRecordStorage())
	return &Cache[V]{
		Get: func(ctx context.Context, key string) (V, error) {
			value, err := c.GetOrFetch(ctx, key, func(ctx context.Context) (V, error) {
				value, err := source(ctx, key)
				if errors.Is(err, errAbsent) {
					err = sturdyc.ErrNotFound
				}
				return value, err
			})
			if errors.Is(err, sturdyc.ErrMissingRecord) {
				err = errAbsent
			}
			return value, err
		},
		Remove: func(_ context.Context, key string) error { c.Delete(key); return nil },
		Close:  func() error { return nil },
	}, nil
}
