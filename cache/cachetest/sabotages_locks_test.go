package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// takes makes GetAndLock do something else.
func takes(f func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.getAndLock = func(ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			return f(m, ctx, key, ttl, o)
		}
	}
}

// takesAs changes what a GetAndLock that worked leaves and returns.
func takesAs(f func(m *Model, key string, item *cache.VersionedItem, h *cache.LockHandle)) func(*Model, *broken) {
	return takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
		item, h, err := m.GetAndLock(ctx, key, ttl, o)
		if err == nil {
			f(m, key, &item, &h)
		}
		return item, h, err
	})
}

func lockSabotages() []sabotage {
	same := cache.LockHandle{7}
	return []sabotage{
		{"locks nothing", takesAs(func(m *Model, key string, _ *cache.VersionedItem, _ *cache.LockHandle) {
			m.mu.Lock()
			delete(m.locks, key)
			m.mu.Unlock()
		}), []string{
			"GetAndLock/LockedIsRefusedAtOnce", "GetAndLock/OneOfManyWins", "GetAndLock/EndsByItself", "Locked/ReadsSeeTheValue",
			"PutAndUnlock/Replaces", "Unlock/EndsTheLock", "Unlock/AnothersHandle", "RemoveLocked/Removes", "ResetTTL/KeepsTheLock",
			"Locked/DoesNotExpire", "Unlock/WithTTL", "Unlock/WithNoExpiry", "Force/LocksAnAbsentKey", "Force/PutAndUnlockStores",
			"Force/PresentIsAsWithout", "Force/LeaseIsRefused",
		}},
		{"makes a version by locking", takesAs(func(m *Model, key string, _ *cache.VersionedItem, _ *cache.LockHandle) {
			m.peek(key, func(e *modelEntry) { e.version[0]++ })
		}), []string{"GetAndLock/ReturnsTheEntry", "Locked/ReadsSeeTheValue", "Unlock/EndsTheLock", "Unlock/WithTTL"}},
		{"returns no item with a lock", takesAs(func(_ *Model, _ string, item *cache.VersionedItem, _ *cache.LockHandle) {
			*item = cache.VersionedItem{}
		}), []string{"GetAndLock/ReturnsTheEntry", "Force/LocksAnAbsentKey", "Force/PresentIsAsWithout"}},
		{"locks what is not there", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			return m.GetAndLock(ctx, key, ttl, cache.LockOptions{Force: true})
		}), []string{"GetAndLock/NoEntry", "Locked/DoesNotExpire"}},
		{"locks nothing by force", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			return m.GetAndLock(ctx, key, ttl, cache.LockOptions{})
		}), append(namesWith("Force/DroppedBy"), "Force/LocksAnAbsentKey", "Force/UnlockLeavesItAbsent", "Force/EndsByItself",
			"Force/NoEntryToChange", "Force/RemoveLockedEndsIt", "Force/VoidsTheLease")},
		{"steals by force", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			if o.Force {
				delete(m.locks, key)
			}
			return m.GetAndLock(ctx, key, ttl, o)
		}), []string{"GetAndLock/LockedIsRefusedAtOnce", "Force/LocksAnAbsentKey"}},
		{"waits for a lock", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			item, h, err := m.GetAndLock(ctx, key, ttl, o)
			if err == cache.ErrLocked {
				time.Sleep(time.Second)
			}
			return item, h, err
		}), []string{"GetAndLock/LockedIsRefusedAtOnce"}},
		{"looks and locks in two steps", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			m.mu.Lock()
			stands := m.lockedLocked(key)
			m.mu.Unlock()
			if stands {
				return cache.VersionedItem{}, cache.LockHandle{}, cache.ErrLocked
			}
			time.Sleep(time.Millisecond)
			m.mu.Lock()
			delete(m.locks, key)
			m.mu.Unlock()
			return m.GetAndLock(ctx, key, ttl, o)
		}), []string{"GetAndLock/OneOfManyWins"}},
		{"locks for good", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			if ttl > 0 {
				ttl = 1000 * time.Hour
			}
			return m.GetAndLock(ctx, key, ttl, o)
		}), []string{"GetAndLock/EndsByItself", "Locked/DoesNotExpire", "Locked/SlidingDoesNotExpire", "Force/EndsByItself"}},
		{"locks too briefly", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			return m.GetAndLock(ctx, key, ttl-time.Millisecond, o)
		}), []string{"GetAndLock/EndsByItself", "Force/EndsByItself", "Locked/DoesNotExpire"}},
		{"locks without end for no ttl", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			return m.GetAndLock(ctx, key, max(ttl, time.Hour), o)
		}), []string{"GetAndLock/BadInput"}},
		{"has one handle for all", takesAs(func(m *Model, key string, _ *cache.VersionedItem, h *cache.LockHandle) {
			m.locks[key] = modelLock{same, m.locks[key].until}
			*h = same
		}), []string{"GetAndLock/HandlesAreUnguessable", "GetAndLock/IsForOneKey", "GetAndLock/EndsByItself", "Unlock/EndsTheLock"}},
		{"locks all keys at once", takesAs(func(m *Model, key string, _ *cache.VersionedItem, _ *cache.LockHandle) {
			for other := range m.entries {
				m.locks[other] = m.locks[key]
			}
		}), []string{"GetAndLock/IsForOneKey"}},
		{"does not slide by locking", func(m *Model, b *broken) {
			b.getAndLock = func(ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (item cache.VersionedItem, h cache.LockHandle, err error) {
				still(m, key, func() { item, h, err = m.GetAndLock(ctx, key, ttl, o) })
				return item, h, err
			}
		}, []string{"GetAndLock/MovesSliding"}},
		{"locks counters", func(m *Model, b *broken) {
			b.getAndLock = func(ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
				item, h, err := m.GetAndLock(ctx, key, ttl, o)
				if err == cache.ErrWrongType {
					return cache.VersionedItem{}, cache.LockHandle{1}, nil
				}
				return item, h, err
			}
		}, []string{"Locked/OtherKindsHaveNone"}},
		{"unlocks by a refused Increment", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				delete(m.locks, key)
				return m.Increment(ctx, key, delta, o)
			}
		}, []string{"Locked/IncrementIsRefused"}},
		{"unlocks by reading", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				delete(m.locks, key)
				return value, found, err
			}
		}, []string{"Locked/ReadsSeeTheValue"}},
		{"fails to read what is locked", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				m.mu.Lock()
				stands := m.lockedLocked(key)
				m.mu.Unlock()
				if stands {
					return nil, false, cache.ErrLocked
				}
				return m.Get(ctx, key)
			}
		}, []string{"Locked/ReadsSeeTheValue", "Locked/AddIsRefused"}},
	}
}

// handleSabotages are about Unlock, PutAndUnlock, RemoveLocked and ResetTTL.
func handleSabotages() []sabotage {
	// right returns the handle that the lock has.
	right := func(m *Model, key string) cache.LockHandle { return m.locks[key].handle }
	return []sabotage{
		{"takes any handle", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, _ cache.LockHandle, ttl time.Duration) error {
				if err := m.Unlock(ctx, key, right(m, key), ttl); err != nil && err != cache.ErrNotLocked {
					return err
				}
				return nil
			}
			b.putAndUnlock = func(ctx context.Context, key string, value []byte, _ cache.LockHandle, o cache.EntryOptions) (cache.Version, error) {
				return overwrites(m, ctx, key, value, o)
			}
		}, []string{
			"Unlock/AnothersHandle", "Unlock/NotLocked", "Unlock/BadInput", "Unlock/EndsTheLock", "PutAndUnlock/NoEntry", "PutAndUnlock/Replaces",
			"GetAndLock/EndsByItself", "GetAndLock/IsForOneKey", "Force/PutAndUnlockStores", "Force/EndsByItself",
		}},
		{"never unlocks", func(_ *Model, b *broken) {
			b.unlock = func(context.Context, string, cache.LockHandle, time.Duration) error { return nil }
		}, []string{"Unlock/EndsTheLock", "Unlock/NoEntry", "Unlock/PastTheDeadline", "Unlock/WithNoExpiry", "Force/UnlockLeavesItAbsent"}},
		{"keeps the lock at PutAndUnlock", func(m *Model, b *broken) {
			b.putAndUnlock = func(ctx context.Context, key string, value []byte, h cache.LockHandle, o cache.EntryOptions) (cache.Version, error) {
				l := m.locks[key]
				v, err := m.PutAndUnlock(ctx, key, value, h, o)
				if err == nil {
					m.locks[key] = l
				}
				return v, err
			}
		}, []string{"PutAndUnlock/Replaces", "Force/PutAndUnlockStores"}},
		{"stores nothing by PutAndUnlock", func(m *Model, b *broken) {
			b.putAndUnlock = func(ctx context.Context, key string, value []byte, h cache.LockHandle, o cache.EntryOptions) (cache.Version, error) {
				return cache.Version{1}, m.Unlock(ctx, key, h, 0)
			}
		}, []string{"PutAndUnlock/Replaces", "Force/PutAndUnlockStores"}},
		{"removes whatever the handle", func(m *Model, b *broken) {
			b.removeLocked = func(ctx context.Context, key string, _ cache.LockHandle) (bool, error) {
				return true, m.Remove(ctx, key)
			}
		}, []string{"RemoveLocked/MismatchIsNoError", "Unlock/AnothersHandle", "Unlock/BadInput", "Force/RemoveLockedEndsIt"}},
		{"never removes by handle", func(_ *Model, b *broken) {
			b.removeLocked = func(context.Context, string, cache.LockHandle) (bool, error) { return false, nil }
		}, []string{"RemoveLocked/Removes", "Force/RemoveLockedEndsIt"}},
		{"resets no TTL", func(_ *Model, b *broken) {
			b.resetTTL = func(context.Context, string, time.Duration) error { return nil }
		}, []string{"ResetTTL/ShorterAndLonger", "ResetTTL/NoEntry", "ResetTTL/KeepsTheSlidingWindow", "ResetTTL/BadInput", "ResetTTL/CountsFromNowThoughLocked"}},
		{"unlocks by ResetTTL", func(m *Model, b *broken) {
			b.resetTTL = func(ctx context.Context, key string, ttl time.Duration) error {
				delete(m.locks, key)
				return m.ResetTTL(ctx, key, ttl)
			}
		}, []string{"ResetTTL/KeepsTheLock", "ResetTTL/CountsFromNowThoughLocked", "Force/NoEntryToChange"}},
		{"forgets the window at ResetTTL", func(m *Model, b *broken) {
			b.resetTTL = func(ctx context.Context, key string, ttl time.Duration) error {
				m.peek(key, func(e *modelEntry) { e.window = 0 })
				return m.ResetTTL(ctx, key, ttl)
			}
		}, []string{"ResetTTL/KeepsTheSlidingWindow"}},
		{"resets no TTL of what is locked", func(m *Model, b *broken) {
			b.resetTTL = func(ctx context.Context, key string, ttl time.Duration) error {
				if m.lockedLocked(key) {
					return nil
				}
				return m.ResetTTL(ctx, key, ttl)
			}
		}, []string{"ResetTTL/CountsFromNowThoughLocked"}},
		{"makes a version by ResetTTL", func(m *Model, b *broken) {
			b.resetTTL = func(ctx context.Context, key string, ttl time.Duration) error {
				m.peek(key, func(e *modelEntry) { e.version[0]++ })
				return m.ResetTTL(ctx, key, ttl)
			}
		}, []string{"ResetTTL/ShorterAndLonger", "ResetTTL/KeepsTheLock"}},
	}
}
