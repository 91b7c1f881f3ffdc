package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// mapItem changes what GetItem and GetIfNewer return.
func mapItem(f func(m *Model, key string, item cache.VersionedItem) cache.VersionedItem) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.getItem = func(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
			item, found, err := m.GetItem(ctx, key)
			if found {
				item = f(m, key, item)
			}
			return item, found, err
		}
		b.getIfNewer = func(ctx context.Context, key string, have cache.Version) (cache.VersionedItem, bool, bool, error) {
			item, newer, found, err := m.GetIfNewer(ctx, key, have)
			if newer {
				item = f(m, key, item)
			}
			return item, newer, found, err
		}
	}
}

// newVersions makes each write count versions in a way of its own.
func newVersions(number func(m *Model, key string, write func())) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (err error) {
			number(m, key, func() { err = m.Set(ctx, key, value, o) })
			return err
		}
	}
}

func versionSabotages() []sabotage {
	return []sabotage{
		{"has no versions", mapItem(func(_ *Model, _ string, item cache.VersionedItem) cache.VersionedItem {
			item.Version = cache.Version{}
			return item
		}), []string{"GetItem/IsGetWithMore", "CompareAndSet/Replaces"}},
		{"tells TTLs as they were", mapItem(func(m *Model, key string, item cache.VersionedItem) cache.VersionedItem {
			item.TTL = 4 * time.Second
			return item
		}), []string{"GetItem/TellsTheTTL", "Unlock/WithNoExpiry"}},
		{"shares an item's value", mapItem(func(m *Model, key string, item cache.VersionedItem) cache.VersionedItem {
			m.peek(key, func(e *modelEntry) { item.Value = e.bytes })
			return item
		}), []string{"GetItem/Copies"}},
		{"does not slide by items", func(m *Model, b *broken) {
			b.getItem = func(ctx context.Context, key string) (item cache.VersionedItem, found bool, err error) {
				still(m, key, func() { item, found, err = m.GetItem(ctx, key) })
				return item, found, err
			}
			b.getIfNewer = func(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
				still(m, key, func() { item, newer, found, err = m.GetIfNewer(ctx, key, have) })
				return item, newer, found, err
			}
		}, []string{"GetItem/MovesSliding", "GetIfNewer/MovesSliding"}},
		{"finds expired items", func(m *Model, b *broken) {
			last := map[string]cache.VersionedItem{}
			b.getItem = func(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
				item, found, err := m.GetItem(ctx, key)
				if found {
					last[key] = item
				}
				old, had := last[key]
				return old, had, err
			}
		}, []string{"GetItem/ExpiredIsGone"}},
		{"returns values that are not newer", func(m *Model, b *broken) {
			b.getIfNewer = func(ctx context.Context, key string, have cache.Version) (cache.VersionedItem, bool, bool, error) {
				item, found, err := m.GetItem(ctx, key)
				return item, found && item.Version != have, found, err
			}
		}, []string{"GetIfNewer/Same", "Version/KeptByReads", "Locked/ReadsSeeTheValue"}},
		{"never finds anything newer", func(m *Model, b *broken) {
			b.getIfNewer = func(ctx context.Context, key string, _ cache.Version) (cache.VersionedItem, bool, bool, error) {
				_, found, err := m.GetItem(ctx, key)
				return cache.VersionedItem{}, false, found, err
			}
		}, []string{"GetIfNewer/Other"}},
		{"reports what is gone as newer", func(m *Model, b *broken) {
			b.getIfNewer = func(ctx context.Context, key string, have cache.Version) (cache.VersionedItem, bool, bool, error) {
				item, newer, found, err := m.GetIfNewer(ctx, key, have)
				return item, newer || !found, found, err
			}
		}, []string{"GetIfNewer/Missing"}},
		{"derives versions from values", newVersions(func(m *Model, key string, write func()) {
			write()
			m.peek(key, func(e *modelEntry) { e.version = cache.Version{9}; copy(e.version[1:], e.bytes) })
		}), []string{"Version/ChangesWithEveryWrite", "Version/NotReusedAfterRemove", "Version/NotReusedAfterExpiry"}},
		{"counts versions of each entry", newVersions(func(m *Model, key string, write func()) {
			var n byte
			m.peek(key, func(e *modelEntry) {
				if e.alive(time.Now()) {
					n = e.version[0]
				}
			})
			write()
			m.peek(key, func(e *modelEntry) { e.version = cache.Version{n + 1} })
		}), []string{"Version/NotReusedAfterRemove", "Version/NotReusedAfterExpiry"}},
		{"makes a version by reading", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				m.peek(key, func(e *modelEntry) { e.version[15]++ })
				return m.Get(ctx, key)
			}
		}, []string{"Version/KeptByReads"}},
	}
}

// compares makes CompareAndSet do something else.
func compares(f func(m *Model, ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.compareAndSet = func(ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
			return f(m, ctx, key, value, have, o)
		}
	}
}

// overwrites stores whatever is there.
func overwrites(m *Model, ctx context.Context, key string, value []byte, o cache.EntryOptions) (cache.Version, error) {
	if err := m.Set(ctx, key, value, o); err != nil {
		return cache.Version{}, err
	}
	item, _, err := m.GetItem(ctx, key)
	return item.Version, err
}

func changeSabotages() []sabotage {
	return []sabotage{
		{"sets whatever the version", compares(func(m *Model, ctx context.Context, key string, value []byte, _ cache.Version, o cache.EntryOptions) (cache.Version, error) {
			return overwrites(m, ctx, key, value, o)
		}), []string{
			"CompareAndSet/MismatchTellsTheVersion", "CompareAndSet/MismatchKeepsTTL", "CompareAndSet/NeverMakesAnEntry", "CompareAndSet/ExpiredIsNoEntry",
			"CompareAndSet/OneOfManyWins", "CompareAndSet/BadInput", "Version/OtherKindsHaveNone", "Locked/MismatchKeepsTheLock", "Force/NoEntryToChange",
		}},
		{"never sets by version", compares(func(m *Model, ctx context.Context, key string, _ []byte, have cache.Version, _ cache.EntryOptions) (cache.Version, error) {
			return have, nil
		}), []string{"CompareAndSet/Replaces", "CompareAndSet/NewExpiration", "CompareAndSet/OneOfManyWins"}},
		{"tells the wrong version", compares(func(m *Model, ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
			v, err := m.CompareAndSet(ctx, key, value, have, o)
			if _, ok := err.(*cache.VersionMismatchError); ok {
				err = &cache.VersionMismatchError{Current: have}
			}
			return v, err
		}), []string{"CompareAndSet/MismatchTellsTheVersion", "Version/NotReusedAfterRemove", "Version/NotReusedAfterExpiry"}},
		{"renews the TTL at a mismatch", compares(func(m *Model, ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
			v, err := m.CompareAndSet(ctx, key, value, have, o)
			if err != nil {
				_ = m.ResetTTL(ctx, key, time.Hour)
			}
			return v, err
		}), []string{"CompareAndSet/MismatchKeepsTTL"}},
		{"keeps the expiration of what it replaces", compares(func(m *Model, ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (v cache.Version, err error) {
			item, _, _ := m.GetItem(ctx, key)
			if v, err = m.CompareAndSet(ctx, key, value, have, o); err == nil {
				err = m.ResetTTL(ctx, key, item.TTL)
			}
			return v, err
		}), []string{"CompareAndSet/NewExpiration"}},
		{"compares and sets in two steps", compares(func(m *Model, ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
			item, _, err := m.GetItem(ctx, key)
			if err != nil || item.Version != have {
				return m.CompareAndSet(ctx, key, value, have, o)
			}
			time.Sleep(time.Millisecond)
			return overwrites(m, ctx, key, value, o)
		}), []string{"CompareAndSet/OneOfManyWins"}},
		{"drops the lock at a mismatch", compares(func(m *Model, ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
			v, err := m.CompareAndSet(ctx, key, value, have, o)
			delete(m.locks, key)
			return v, err
		}), []string{"Locked/MismatchKeepsTheLock"}},
		{"adds over what is there", func(m *Model, b *broken) {
			b.add = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (cache.Version, error) {
				return overwrites(m, ctx, key, value, o)
			}
		}, []string{"Add/ExistsChangesNothing", "Add/OneOfManyWins", "Locked/AddIsRefused"}},
		{"never adds", func(_ *Model, b *broken) {
			b.add = func(context.Context, string, []byte, cache.EntryOptions) (cache.Version, error) {
				return cache.Version{}, cache.ErrExists
			}
		}, []string{"Add/Stores", "Add/VoidsTheLease", "Add/BadInput", "Force/DroppedByAdd"}},
		{"adds under a lease", func(m *Model, b *broken) {
			b.add = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (cache.Version, error) {
				l := m.leases[key]
				v, err := m.Add(ctx, key, value, o)
				m.leases[key] = l
				return v, err
			}
		}, []string{"Add/VoidsTheLease"}},
		{"removes whatever the version", func(m *Model, b *broken) {
			b.removeVersion = func(ctx context.Context, key string, _ cache.Version) (bool, error) {
				return true, m.Remove(ctx, key)
			}
		}, []string{"RemoveVersion/MismatchIsNoError", "RemoveVersion/NoVersion", "Locked/MismatchKeepsTheLock", "Force/NoEntryToChange"}},
		{"never removes by version", func(_ *Model, b *broken) {
			b.removeVersion = func(context.Context, string, cache.Version) (bool, error) { return true, nil }
		}, []string{"RemoveVersion/Removes"}},
	}
}
