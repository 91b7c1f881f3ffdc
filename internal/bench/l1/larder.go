package l1

import (
	"context"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func newMemory() (*memory.Cache, error) {
	return memory.New(&memory.Options{MaxEntries: Capacity, Defaults: cache.EntryOptions{TTL: TTL}})
}

// openObjects is larder's memory cache as it is, below the typed layer.
func openObjects[V any](s *Source[V]) (*Cache, error) {
	c, err := newMemory()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	for i, key := range s.Keys {
		if err := c.SetObject(ctx, key, s.Values[i], cache.EntryOptions{}); err != nil {
			return nil, err
		}
	}
	get := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			value, found, err := c.GetObject(ctx, w.Keys[i&mask])
			if _, ok := value.(V); !ok || !found || err != nil {
				failed++
			}
		}
		return failed
	}
	set := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if c.SetObject(ctx, w.Keys[i&mask], s.Values[w.IDs[i&mask]], cache.EntryOptions{}) != nil {
				failed++
			}
		}
		return failed
	}
	return &Cache{
		Calls: []Call{
			{"larder memory.Cache.GetObject", Lookup, get},
			{"larder memory.Cache.SetObject", Store, set},
		},
		Close: func() { _ = c.Close(ctx) },
	}, nil
}

// openTyped is larder as services use it.
func openTyped[V any](s *Source[V]) (*Cache, error) {
	c, err := newMemory()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	typed := cache.NewTyped[V](c, nil)
	byKey := cache.NewLoading(c,
		func(ctx context.Context, key string, _ *cache.Entry) (V, error) { return s.load(ctx, key) },
		&cache.LoadingOptions[string, V]{AppendKey: func(dst []byte, key string) []byte { return append(dst, key...) }})
	for i, key := range s.Keys {
		if err := typed.Set(ctx, key, s.Values[i], cache.EntryOptions{}); err != nil {
			return nil, err
		}
	}
	return &Cache{
		Calls: []Call{
			{"larder Typed.Get", Lookup, typedGet(typed)},
			{"larder Typed.GetOrCreateExclusive", Loading, typedExclusive(typed, s)},
			{"larder GetOrCreateExclusiveWith", Loading, typedExclusiveWith(typed, s)},
			{"larder Loading.Get", Loading, loadingGet(byKey)},
			{"larder Typed.Set", Store, typedSet(typed, s)},
		},
		Close: func() { _ = c.Close(ctx) },
	}, nil
}

// openByID is larder with keys that it makes of ids, as no other call here has
// to. It is a cache of its own: its keys are others.
func openByID[V any](s *Source[V]) (*Cache, error) {
	c, err := newMemory()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	byID := cache.NewLoading(c,
		func(ctx context.Context, _ int64, _ *cache.Entry) (V, error) { return s.load(ctx, "") }, nil)
	for i := range s.Keys {
		if err := byID.Set(ctx, int64(i), s.Values[i], cache.EntryOptions{}); err != nil {
			return nil, err
		}
	}
	return &Cache{
		Calls: []Call{{"larder Loading.Get by int64", Loading, loadingGetByID(byID)}},
		Close: func() { _ = c.Close(ctx) },
	}, nil
}

func typedGet[V any](c *cache.Typed[V]) Loop {
	return func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			if _, found, err := c.Get(ctx, w.Keys[i&mask]); !found || err != nil {
				failed++
			}
		}
		return failed
	}
}

func typedExclusive[V any](c *cache.Typed[V], s *Source[V]) Loop {
	return func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			key := w.Keys[i&mask]
			_, err := c.GetOrCreateExclusive(ctx, key, func(ctx context.Context, _ *cache.Entry) (V, error) {
				return s.load(ctx, key)
			})
			if err != nil {
				failed++
			}
		}
		return failed
	}
}

func typedExclusiveWith[V any](c *cache.Typed[V], s *Source[V]) Loop {
	type state struct {
		source *Source[V]
		key    string
	}
	load := func(ctx context.Context, st state, _ *cache.Entry) (V, error) { return st.source.load(ctx, st.key) }
	return func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			key := w.Keys[i&mask]
			if _, err := cache.GetOrCreateExclusiveWith(ctx, c, key, state{s, key}, load); err != nil {
				failed++
			}
		}
		return failed
	}
}

func loadingGet[V any](c *cache.Loading[string, V]) Loop {
	return func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			if _, err := c.Get(ctx, w.Keys[i&mask]); err != nil {
				failed++
			}
		}
		return failed
	}
}

func loadingGetByID[V any](c *cache.Loading[int64, V]) Loop {
	return func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			if _, err := c.Get(ctx, w.IDs[i&mask]); err != nil {
				failed++
			}
		}
		return failed
	}
}

func typedSet[V any](c *cache.Typed[V], s *Source[V]) Loop {
	return func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			if c.Set(ctx, w.Keys[i&mask], s.Values[w.IDs[i&mask]], cache.EntryOptions{}) != nil {
				failed++
			}
		}
		return failed
	}
}
