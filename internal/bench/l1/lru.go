package l1

import "github.com/hashicorp/golang-lru/v2/expirable"

// openLRU leaves a goroutine behind: the library has no way to end it.
func openLRU[V any](s *Source[V]) (*Cache, error) {
	c := expirable.NewLRU[string, V](Capacity, nil, TTL)
	for i, key := range s.Keys {
		c.Add(key, s.Values[i])
	}
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
			c.Add(w.Keys[i&mask], s.Values[w.IDs[i&mask]])
		}
		return 0
	}
	return &Cache{
		Calls: []Call{{"golang-lru expirable Get", Lookup, get}, {"golang-lru expirable Add", Store, set}},
		Close: c.Purge,
	}, nil
}
