package l1

import (
	"context"

	"github.com/maypok86/otter/v2"
)

func openOtter[V any](s *Source[V]) (*Cache, error) {
	c, err := otter.New(&otter.Options[string, V]{
		MaximumSize:      Capacity,
		ExpiryCalculator: otter.ExpiryWriting[string, V](TTL),
	})
	if err != nil {
		return nil, err
	}
	for i, key := range s.Keys {
		c.Set(key, s.Values[i])
	}
	get := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if _, ok := c.GetIfPresent(w.Keys[i&mask]); !ok {
				failed++
			}
		}
		return failed
	}
	loader := otter.LoaderFunc[string, V](s.load)
	load := func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			if _, err := c.Get(ctx, w.Keys[i&mask], loader); err != nil {
				failed++
			}
		}
		return failed
	}
	loadWith := func(w *Workload, from, n int) (failed int) { // as larder's GetOrCreateExclusive
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			key := w.Keys[i&mask]
			_, err := c.Get(ctx, key, otter.LoaderFunc[string, V](func(ctx context.Context, _ string) (V, error) {
				return s.load(ctx, key)
			}))
			if err != nil {
				failed++
			}
		}
		return failed
	}
	set := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			c.Set(w.Keys[i&mask], s.Values[w.IDs[i&mask]])
		}
		return 0
	}
	return &Cache{
		Calls: []Call{
			{"otter GetIfPresent", Lookup, get},
			{"otter Get with loader", Loading, load},
			{"otter Get with closure", Loading, loadWith},
			{"otter Set", Store, set},
		},
		Close: func() { c.StopAllGoroutines() },
	}, nil
}
