package l1

import "github.com/dgraph-io/ristretto/v2"

// fillAttempts is how often a set that ristretto dropped is tried again.
const fillAttempts = 100

func openRistretto[V any](s *Source[V]) (*Cache, error) {
	c, err := ristretto.NewCache(&ristretto.Config[string, V]{
		NumCounters: 10 * Capacity, MaxCost: Capacity, BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	for i, key := range s.Keys {
		for range fillAttempts {
			if c.SetWithTTL(key, s.Values[i], 1, TTL) {
				break
			}
			c.Wait()
		}
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
	// A set that it drops, as it does by design when it cannot keep up, is no
	// failure.
	set := func(w *Workload, from, n int) (failed int) {
		for i := from; i < from+n; i++ {
			c.SetWithTTL(w.Keys[i&mask], s.Values[w.IDs[i&mask]], 1, TTL)
		}
		return 0
	}
	return &Cache{
		Calls: []Call{{"ristretto Get", Lookup, get}, {"ristretto SetWithTTL", Store, set}},
		Close: c.Close,
	}, nil
}
