package faults

import (
	"context"
	"errors"

	"github.com/jellydator/ttlcache/v3"
)

var errNoItem = errors.New("faults: ttlcache has no item")

func openTTLCache(_ string, source load) (*loader, error) {
	load := ttlcache.LoaderFunc[string, string](
		func(c *ttlcache.Cache[string, string], key string) *ttlcache.Item[string, string] {
			value, err := source(context.Background(), key)
			if err != nil {
				return nil
			}
			return c.Set(key, value, ttlcache.DefaultTTL)
		})
	c := ttlcache.New(
		ttlcache.WithTTL[string, string](ttl),
		ttlcache.WithCapacity[string, string](capacity),
		ttlcache.WithLoader[string, string](ttlcache.NewSuppressedLoader[string, string](load, nil)),
	)
	return &loader{
		name: "ttlcache, SuppressedLoader",
		get: func(_ context.Context, key string) (string, error) {
			item := c.Get(key)
			if item == nil {
				return "", errNoItem
			}
			return item.Value(), nil
		},
		remove: func(_ context.Context, key string) error { c.Delete(key); return nil },
		close:  func() error { return nil },
	}, nil
}
