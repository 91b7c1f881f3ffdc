package l1

import (
	"context"

	"github.com/viccon/sturdyc"
)

const (
	sturdycShards   = 64
	sturdycEviction = 10 // percent
)

func openSturdyc[V any](s *Source[V]) (*Cache, error) {
	// Its evictions would run in a goroutine that nothing ends.
	c := sturdyc.New[V](Capacity, sturdycShards, TTL, sturdycEviction, sturdyc.WithNoContinuousEvictions())
	for i, key := range s.Keys {
		c.Set(key, s.Values[i])
	}
	get := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			if _, ok := c.Get(w.Keys[i&mask]); !ok {
				failed++
			}
		}
		return failed
	}
	load := func(w *Workload, from, n int) (failed int) {
		ctx := context.Background()
		for i := from; i < from+n; i++ {
			key := w.Keys[i&mask]
			_, err := c.GetOrFetch(ctx, key, func(ctx context.Context) (V, error) { return s.load(ctx, key) })
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
			{"sturdyc Get", Lookup, get},
			{"sturdyc GetOrFetch", Loading, load},
			{"sturdyc Set", Store, set},
		},
		Close: func() {},
	}, nil
}
