package l1

import (
	"context"

	"github.com/Yiling-J/theine-go"
)

func openTheine[V any](s *Source[V]) (*Cache, error) {
	c, err := theine.NewBuilder[string, V](Capacity).Build()
	if err != nil {
		return nil, err
	}
	for i, key := range s.Keys {
		c.SetWithTTL(key, s.Values[i], 1, TTL)
	}
	c.Wait()
	get := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if _, ok := c.Get(w.Keys[i&mask]); !ok {
				failed++
			}
		}
		return failed
	}
	set := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if !c.SetWithTTL(w.Keys[i&mask], s.Values[w.IDs[i&mask]], 1, TTL) {
				failed++
			}
		}
		return failed
	}
	return &Cache{
		Calls: []Call{{"theine Get", Lookup, get}, {"theine SetWithTTL", Store, set}},
		Close: c.Close,
	}, nil
}

// openTheineLoading is a cache of its own: theine binds the loader to it.
func openTheineLoading[V any](s *Source[V]) (*Cache, error) {
	c, err := theine.NewBuilder[string, V](Capacity).Loading(
		func(ctx context.Context, key string) (theine.Loaded[V], error) {
			value, err := s.load(ctx, key)
			return theine.Loaded[V]{Value: value, Cost: 1, TTL: TTL}, err
		}).Build()
	if err != nil {
		return nil, err
	}
	for i, key := range s.Keys {
		c.SetWithTTL(key, s.Values[i], 1, TTL)
	}
	c.Wait()
	get := func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			if _, err := c.Get(ctx, w.Keys[i&mask]); err != nil {
				failed++
			}
		}
		return failed
	}
	return &Cache{Calls: []Call{{"theine LoadingCache.Get", Loading, get}}, Close: c.Close}, nil
}
