package racematrix

import (
	"context"

	"github.com/jellydator/ttlcache/v3"
)

func ttlCache() Contender {
	const noContext = "Get takes no context"
	return Contender{
		Name: "ttlcache", Modules: []string{"github.com/jellydator/ttlcache/v3"},
		Use:           "Get with a SuppressedLoader, Delete",
		NotApplicable: map[string]string{"2": noContext, "3": noContext},
		Texts:         openTTLCache[string], Numbers: openTTLCache[int],
		Pointers: openTTLCache[*int], Bytes: openTTLCache[[]byte],
	}
}

func openTTLCache[V any](_ string, source Source[V]) (*Cache[V], error) {
	load := ttlcache.LoaderFunc[string, V](
		func(c *ttlcache.Cache[string, V], key string) *ttlcache.Item[string, V] {
			value, err := source(context.Background(), key)
			if err != nil { // a loader has no other way to say so
				return nil
			}
			return c.Set(key, value, ttlcache.DefaultTTL)
		})
	c := ttlcache.New(
		ttlcache.WithTTL[string, V](ttl),
		ttlcache.WithCapacity[string, V](capacity),
		ttlcache.WithLoader[string, V](ttlcache.NewSuppressedLoader[string, V](load, nil)),
	)
	return &Cache[V]{
		Get: func(_ context.Context, key string) (V, error) {
			item := c.Get(key)
			if item == nil {
				var zero V
				return zero, errAbsent
			}
			return item.Value(), nil
		},
		Remove: func(_ context.Context, key string) error { c.Delete(key); return nil },
		Close:  func() error { return nil },
	}, nil
}
