package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// mapLease changes the reply to Lease.
func mapLease(f func(m *Model, key string, r cache.LeaseReply) cache.LeaseReply) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.lease = func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
			reply, err := m.Lease(ctx, key, ttl)
			if err == nil {
				reply = f(m, key, reply)
			}
			return reply, err
		}
	}
}

// lendAll makes every fill find the lease that it names.
func lendAll(m *Model, b *broken) {
	b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
		o.Lease = cache.Lease{}
		return m.Set(ctx, key, value, o)
	}
}

func leaseSabotages() []sabotage {
	constant := cache.Lease{1, 2, 3}
	return []sabotage{
		{"has one token for all", func(m *Model, b *broken) {
			b.lease = func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
				reply, err := m.Lease(ctx, key, ttl)
				m.mu.Lock()
				defer m.mu.Unlock()
				if l, ok := m.leases[key]; ok {
					m.leases[key] = modelLease{constant, l.until}
					reply.Lease = constant
				}
				return reply, err
			}
		}, []string{"Lease/Granted", "Lease/IsForOneKey", "Lease/Ends", "Release/FreesTheKey", "Release/OfAnothersChangesNothing"}},
		{"hides the token of a busy key", mapLease(func(_ *Model, _ string, r cache.LeaseReply) cache.LeaseReply {
			if r.State == cache.LeaseBusy {
				r.Lease = cache.Lease{}
			}
			return r
		}), []string{"Lease/BusyShowsItsToken"}},
		{"grants a key that has a value", mapLease(func(_ *Model, _ string, r cache.LeaseReply) cache.LeaseReply {
			if r.State == cache.LeaseFound {
				return cache.LeaseReply{State: cache.LeaseGranted, Lease: constant}
			}
			return r
		}), []string{"Lease/Found"}},
		{"shows a lease as an entry", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				if l, ok := m.leases[key]; ok && !found {
					return l.token[:], true, err
				}
				return value, found, err
			}
		}, []string{"Lease/IsNoEntry"}},
		{"voids a lease by a read", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				if !found {
					delete(m.leases, key)
				}
				return value, found, err
			}
		}, []string{"Lease/ReadingKeepsIt"}},
		{"drops fills", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if o.Lease != (cache.Lease{}) {
					return nil
				}
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Lease/FillStores"}},
		{"forgets the lifetime of fills", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if o.Lease != (cache.Lease{}) {
					o = cache.EntryOptions{Lease: o.Lease}
				}
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Lease/FillStores"}},
		{"fills without a lease", lendAll, append(namesWith("Lease/VoidedBy"),
			"Lease/FillSpendsIt", "Lease/FillWithoutLease", "Lease/IsForOneKey", "Lease/Ends", "Release/FreesTheKey")},
		{"fills a key with the lease of another", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				m.mu.Lock()
				for _, l := range m.leases {
					if l.token == o.Lease {
						o.Lease = m.leases[key].token
						break
					}
				}
				m.mu.Unlock()
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Lease/IsForOneKey"}},
		{"spends a lease before it checks", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				err := m.Set(ctx, key, value, o)
				if err != nil && o.Lease != (cache.Lease{}) {
					_ = m.Release(context.Background(), key, o.Lease)
				}
				return err
			}
		}, []string{"Lease/RefusedInputKeepsIt"}},
		{"lets leases stand for good", func(m *Model, b *broken) {
			b.lease = func(ctx context.Context, key string, _ time.Duration) (cache.LeaseReply, error) {
				return m.Lease(ctx, key, 1000*time.Hour)
			}
		}, []string{"Lease/Ends"}},
		{"lets leases end too early", func(m *Model, b *broken) {
			b.lease = func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
				return m.Lease(ctx, key, ttl-time.Millisecond)
			}
		}, []string{"Lease/Ends"}},
		{"finds what has expired", func(m *Model, b *broken) {
			ever := make(map[string]bool)
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				ever[key] = true
				return m.Set(ctx, key, value, o)
			}
			b.lease = func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
				if ever[key] {
					return cache.LeaseReply{State: cache.LeaseFound}, nil
				}
				return m.Lease(ctx, key, ttl)
			}
		}, []string{"Lease/AfterExpiry"}},
		{"does not extend", func(_ *Model, b *broken) {
			b.extend = func(context.Context, string, cache.Lease, time.Duration) (bool, error) { return true, nil }
		}, []string{"Extend/LastsLonger", "Extend/OfNoLease"}},
		{"extends whatever stands", func(m *Model, b *broken) {
			b.extend = func(_ context.Context, key string, lease cache.Lease, ttl time.Duration) (bool, error) {
				m.leases[key] = modelLease{lease, time.Now().Add(ttl)}
				return true, nil
			}
		}, []string{"Extend/OfNoLease"}},
		{"does not release", func(_ *Model, b *broken) {
			b.release = func(context.Context, string, cache.Lease) error { return nil }
		}, []string{"Release/FreesTheKey", "Exclusive/ErrorIsNotStored"}},
		{"releases whatever stands", func(m *Model, b *broken) {
			b.release = func(_ context.Context, key string, _ cache.Lease) error { delete(m.leases, key); return nil }
		}, []string{"Release/OfAnothersChangesNothing"}},
		{"releases by removing", func(m *Model, b *broken) {
			b.release = func(ctx context.Context, key string, _ cache.Lease) error { return m.Remove(ctx, key) }
		}, []string{"Release/KeepsTheValue"}},
		{"leases in an order of its own", func(m *Model, b *broken) {
			b.leaseMany = func(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
				replies, err := m.LeaseMany(ctx, keys, ttl)
				if len(replies) > 1 {
					replies[0], replies[1] = replies[1], replies[0]
				}
				return replies, err
			}
		}, []string{"LeaseMany/OrderAndStates"}},
		{"leases nothing badly", func(m *Model, b *broken) {
			b.leaseMany = func(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
				if len(keys) == 0 {
					return nil, cache.ErrInvalidKey
				}
				return m.LeaseMany(ctx, keys, ttl)
			}
		}, []string{"LeaseMany/NoKeys"}},
		{"fills in batches without a lease", func(m *Model, b *broken) {
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				for i := range items {
					items[i].Options.Lease = cache.Lease{}
				}
				return m.SetMany(ctx, items)
			}
		}, []string{"LeaseMany/FillBySetMany"}},
		{"fills with objects without a lease", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				o.Lease = cache.Lease{}
				return m.SetObject(ctx, key, value, o)
			}
		}, []string{"Lease/FillBySetObject"}},
	}
}

// leaseVoidSabotages leave the lease standing for one kind of write each.
func leaseVoidSabotages() []sabotage {
	// keep runs a write and restores the lease of key.
	keep := func(m *Model, key string, write func() error) error {
		m.mu.Lock()
		l, held := m.leases[key]
		m.mu.Unlock()
		err := write()
		if held {
			m.mu.Lock()
			m.leases[key] = l
			m.mu.Unlock()
		}
		return err
	}
	keepAtSet := func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			if o.Lease != (cache.Lease{}) {
				return m.Set(ctx, key, value, o)
			}
			return keep(m, key, func() error { return m.Set(ctx, key, value, o) })
		}
	}
	keepAtRemove := func(m *Model, b *broken) {
		b.remove = func(ctx context.Context, key string) error {
			return keep(m, key, func() error { return m.Remove(ctx, key) })
		}
	}
	keepAtIncrement := func(m *Model, b *broken) {
		b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (n int64, err error) {
			err = keep(m, key, func() error { n, err = m.Increment(ctx, key, delta, o); return err })
			return n, err
		}
	}
	return []sabotage{
		{"keeps leases at Set", keepAtSet, []string{"Lease/VoidedBySet"}},
		{"keeps leases at Remove", keepAtRemove, []string{"Lease/VoidedByRemove"}},
		{"keeps leases at Set and Remove", func(m *Model, b *broken) { keepAtSet(m, b); keepAtRemove(m, b) },
			[]string{"Lease/VoidedBySetThenRemove"}},
		{"keeps leases at Increment", keepAtIncrement, []string{"Lease/VoidedByIncrement"}},
		{"keeps leases at Increment and Remove", func(m *Model, b *broken) { keepAtIncrement(m, b); keepAtRemove(m, b) },
			[]string{"Lease/VoidedByIncrementThenRemove"}},
		{"keeps leases at RemoveMany", func(m *Model, b *broken) {
			b.removeMan = func(ctx context.Context, keys []string) error {
				return keep(m, keys[0], func() error { return m.RemoveMany(ctx, keys) })
			}
		}, []string{"Lease/VoidedByRemoveMany"}},
		{"keeps leases at SetMany", func(m *Model, b *broken) {
			b.setMany = func(ctx context.Context, items []cache.Item) error {
				return keep(m, items[0].Key, func() error { return m.SetMany(ctx, items) })
			}
		}, []string{"Lease/VoidedBySetMany"}},
		{"keeps leases at SetObject", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				if o.Lease != (cache.Lease{}) {
					return m.SetObject(ctx, key, value, o)
				}
				return keep(m, key, func() error { return m.SetObject(ctx, key, value, o) })
			}
		}, []string{"Lease/VoidedBySetObject"}},
	}
}

func exclusiveSabotages() []sabotage {
	return []sabotage{
		{"drops fills with objects", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				if o.Lease != (cache.Lease{}) {
					return nil
				}
				return m.SetObject(ctx, key, value, o)
			}
		}, []string{"Exclusive/LoadsOnceAndStores"}},
		{"never tells its coordinator", func(_ *Model, b *broken) {
			other := cache.NewCoordinator(nil)
			b.coord = func(key string) (*cache.Coordinator, string) { return other, key }
		}, []string{
			"Exclusive/TypedRemoveDuringLoad", "Exclusive/TypedSetDuringLoad", "Exclusive/RemoveDuringLoad", "Exclusive/ClearDuringLoad",
			"Exclusive/SetThenRemoveDuringLoad", "Exclusive/RemoveManyDuringLoad", "Exclusive/SetManyThenRemoveDuringLoad",
			"Exclusive/AddThenRemoveVersionDuringLoad", "Exclusive/LockThenRemoveLockedDuringLoad",
			"Exclusive/EndWriteDuringLoad", "Exclusive/TypedSetWithMarkDuringLoad", "Mark/CallerAfterEndDoesNotJoin", "Mark/CallerAfterRemoveDoesNotJoin",
		}},
	}
}
