package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// orders makes SetIfNewer do something else.
func orders(f func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.setIfNewer = func(ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			return f(m, ctx, key, value, order, o)
		}
	}
}

// forgets empties the order of what is under key.
func forgets(m *Model, key string) { m.peek(key, func(e *modelEntry) { e.order = 0 }) }

func orderSabotages() []sabotage {
	return []sabotage{
		{"stores whatever the order", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			err := m.Set(ctx, key, value, o)
			m.peek(key, func(e *modelEntry) { e.order = order })
			return err
		}), []string{
			"SetIfNewer/OlderIsRefused", "SetIfNewer/SameChangesNothing", "SetIfNewer/KeptByLocksAndReads", "SetIfNewer/DropsTheLock",
			"SetIfNewer/LastInOrderWins", "SetIfNewer/OtherKinds", "SetIfNewer/BadInput", "ObjectVersions/KindsStayApart",
		}},
		{"compares orders as floats", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			if item, found, _ := m.GetItem(ctx, key); found && float64(item.Order) == float64(order) {
				return nil
			}
			return m.SetIfNewer(ctx, key, value, order, o)
		}), []string{"SetIfNewer/NewerReplaces", "SetIfNewer/OlderIsRefused"}},
		{"stores only what is absent", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			if _, found, _ := m.Get(ctx, key); found {
				return nil
			}
			return m.SetIfNewer(ctx, key, value, order, o)
		}), []string{
			"SetIfNewer/NewerReplaces", "SetIfNewer/OlderIsRefused", "SetIfNewer/NewVersion", "SetIfNewer/OtherWritesForget",
			"SetIfNewer/DropsTheLock", "SetIfNewer/LastInOrderWins",
		}},
		{"refuses the same order", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			item, found, _ := m.GetItem(ctx, key)
			if found && item.Order == order && order != 0 {
				return &cache.OutdatedError{Current: order}
			}
			return m.SetIfNewer(ctx, key, value, order, o)
		}), []string{"SetIfNewer/SameChangesNothing", "SetIfNewer/DropsTheLock"}},
		{"keeps the version of what is newer", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			var old cache.Version
			m.peek(key, func(e *modelEntry) { old = e.version })
			err := m.SetIfNewer(ctx, key, value, order, o)
			if old != (cache.Version{}) {
				m.peek(key, func(e *modelEntry) { e.version = old })
			}
			return err
		}), []string{"SetIfNewer/NewVersion"}},
		{"keeps the order at Set", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				var order uint64
				m.peek(key, func(e *modelEntry) { order = e.order })
				err := m.Set(ctx, key, value, o)
				m.peek(key, func(e *modelEntry) { e.order = order })
				return err
			}
		}, []string{"SetIfNewer/OtherWritesForget"}},
		{"stores in order without tokens", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			o.Tokens = nil
			return m.SetIfNewer(ctx, key, value, order, o)
		}), []string{"SetIfNewer/ExpiredRegionIsNoOrder"}},
		{"remembers orders for good", func(m *Model, b *broken) {
			last := map[string]uint64{}
			b.setIfNewer = func(ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
				if order < last[key] {
					return &cache.OutdatedError{Current: last[key]}
				}
				last[key] = order
				return m.SetIfNewer(ctx, key, value, order, o)
			}
		}, []string{"SetIfNewer/OtherWritesForget", "SetIfNewer/ForgottenWithTheEntry"}},
		{"forgets the order at Unlock", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, h cache.LockHandle, ttl time.Duration) error {
				forgets(m, key)
				return m.Unlock(ctx, key, h, ttl)
			}
		}, []string{"SetIfNewer/KeptByLocksAndReads"}},
		{"keeps the lock at SetIfNewer", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			l, had := m.locks[key]
			err := m.SetIfNewer(ctx, key, value, order, o)
			if had {
				m.locks[key] = l
			}
			return err
		}), []string{"SetIfNewer/DropsTheLock"}},
		{"keeps the lease at SetIfNewer", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			l := m.leases[key]
			err := m.SetIfNewer(ctx, key, value, order, o)
			m.leases[key] = l
			return err
		}), []string{"SetIfNewer/VoidsTheLease"}},
		{"compares orders and sets in two steps", orders(func(m *Model, ctx context.Context, key string, value []byte, order uint64, o cache.EntryOptions) error {
			item, _, err := m.GetItem(ctx, key)
			if err != nil || item.Order >= order {
				return m.SetIfNewer(ctx, key, value, order, o)
			}
			time.Sleep(time.Second / time.Duration(order)) // virtual: the last in order is the first to store
			forgets(m, key)
			return m.SetIfNewer(ctx, key, value, order, o)
		}), []string{"SetIfNewer/LastInOrderWins"}},
		{"counts tokens by entry", takesAs(func(m *Model, key string, item *cache.VersionedItem, _ *cache.LockHandle) {
			item.Fence = 1
		}), []string{"Fence/Grows"}},
		{"tells tokens to readers", mapItem(func(m *Model, _ string, item cache.VersionedItem) cache.VersionedItem {
			item.Fence = m.fence
			return item
		}), []string{"Fence/OfLocksOnly"}},
	}
}

func objectChangeSabotages() []sabotage {
	return []sabotage{
		{"has no versions of objects", func(m *Model, b *broken) {
			b.getObjectItem = func(ctx context.Context, key string) (cache.Versioned[any], bool, error) {
				item, found, err := m.GetObjectItem(ctx, key)
				item.Version = cache.Version{}
				return item, found, err
			}
		}, []string{"ObjectItem/IsGetWithMore", "CompareAndSetObject/ByVersion", "AddObject/OnlyIfAbsent", "ObjectLock/LocksAndPuts", "ObjectLock/Absent"}},
		{"sets objects whatever the version", func(m *Model, b *broken) {
			b.compareAndSetObject = func(ctx context.Context, key string, value any, _ cache.Version, o cache.EntryOptions) (cache.Version, error) {
				if err := m.SetObject(ctx, key, value, o); err != nil {
					return cache.Version{}, err
				}
				item, _, err := m.GetObjectItem(ctx, key)
				return item.Version, err
			}
		}, []string{"CompareAndSetObject/ByVersion", "CompareAndSetObject/OneOfManyWins", "ObjectVersions/BadInput", "ObjectVersions/KindsStayApart"}},
		{"adds objects over what is there", func(m *Model, b *broken) {
			b.addObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) (cache.Version, error) {
				if err := m.SetObject(ctx, key, value, o); err != nil {
					return cache.Version{}, err
				}
				item, _, err := m.GetObjectItem(ctx, key)
				return item.Version, err
			}
		}, []string{"AddObject/OnlyIfAbsent", "ObjectVersions/KindsStayApart"}},
		{"removes byte values only", func(m *Model, b *broken) {
			b.removeVersion = func(ctx context.Context, key string, have cache.Version) (bool, error) {
				if _, _, err := m.Get(ctx, key); err != nil {
					return false, err
				}
				return m.RemoveVersion(ctx, key, have)
			}
		}, []string{"RemoveVersion/OfAnObject"}},
		{"stores objects whatever the order", func(m *Model, b *broken) {
			b.setObjectIfNewer = func(ctx context.Context, key string, value any, order uint64, o cache.EntryOptions) error {
				err := m.SetObject(ctx, key, value, o)
				m.peek(key, func(e *modelEntry) { e.order = order })
				return err
			}
		}, []string{"SetObjectIfNewer/ByOrder", "ObjectVersions/BadInput", "ObjectVersions/KindsStayApart"}},
		{"locks no objects", func(m *Model, b *broken) {
			b.getObjectAndLock = func(ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error) {
				item, h, err := m.GetObjectAndLock(ctx, key, ttl, o)
				delete(m.locks, key)
				return item, h, err
			}
		}, []string{"ObjectLock/LocksAndPuts", "ObjectLock/Absent", "ObjectLock/OtherCalls"}},
		{"locks objects for good", func(m *Model, b *broken) {
			b.getObjectAndLock = func(ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error) {
				return m.GetObjectAndLock(ctx, key, time.Hour, o)
			}
		}, []string{"ObjectLock/BadInput"}},
		{"puts objects with any handle", func(m *Model, b *broken) {
			b.putObjectAndUnlock = func(ctx context.Context, key string, value any, _ cache.LockHandle, o cache.EntryOptions) (cache.Version, error) {
				if err := m.SetObject(ctx, key, value, o); err != nil {
					return cache.Version{}, err
				}
				item, _, err := m.GetObjectItem(ctx, key)
				return item.Version, err
			}
		}, []string{"ObjectLock/LocksAndPuts", "ObjectLock/BadInput", "ObjectVersions/KindsStayApart"}},
		{"unlocks byte values only", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, h cache.LockHandle, ttl time.Duration) error {
				if _, _, err := m.Get(ctx, key); err != nil {
					return err
				}
				return m.Unlock(ctx, key, h, ttl)
			}
		}, []string{"ObjectLock/OtherCalls"}},
	}
}
