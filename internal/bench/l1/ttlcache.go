package l1

import (
	"context"

	"github.com/jellydator/ttlcache/v3"
)

func newTTLCache[V any](s *Source[V], opts ...ttlcache.Option[string, V]) *ttlcache.Cache[string, V] {
	c := ttlcache.New(append(opts,
		ttlcache.WithTTL[string, V](TTL),
		ttlcache.WithCapacity[string, V](Capacity),
		ttlcache.WithDisableTouchOnHit[string, V](), // the TTL counts from the write, as elsewhere
	)...)
	for i, key := range s.Keys {
		c.Set(key, s.Values[i], ttlcache.DefaultTTL)
	}
	return c
}

func openTTLCache[V any](s *Source[V]) (*Cache, error) {
	c := newTTLCache(s)
	set := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			c.Set(w.Keys[i&mask], s.Values[w.IDs[i&mask]], ttlcache.DefaultTTL)
		}
		return 0
	}
	return &Cache{
		Calls: []Call{{"ttlcache Get", Lookup, ttlcacheGet(c)}, {"ttlcache Set", Store, set}},
		Close: func() {},
	}, nil
}

// openTTLCacheLoading has the loader that lets callers share a load.
func openTTLCacheLoading[V any](s *Source[V]) (*Cache, error) {
	load := ttlcache.LoaderFunc[string, V](func(c *ttlcache.Cache[string, V], key string) *ttlcache.Item[string, V] {
		value, err := s.load(context.Background(), key)
		if err != nil {
			return nil
		}
		return c.Set(key, value, ttlcache.DefaultTTL)
	})
	c := newTTLCache(s, ttlcache.WithLoader[string, V](ttlcache.NewSuppressedLoader[string, V](load, nil)))
	return &Cache{
		Calls: []Call{{"ttlcache Get with loader", Loading, ttlcacheGet(c)}},
		Close: func() {},
	}, nil
}

func ttlcacheGet[V any](c *ttlcache.Cache[string, V]) Loop {
	return func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if item := c.Get(w.Keys[i&mask]); item == nil {
				failed++
			}
		}
		return failed
	}
}
