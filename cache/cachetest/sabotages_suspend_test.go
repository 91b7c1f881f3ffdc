package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// keepLock runs a write and restores the lock of key.
func keepLock(m *Model, key string, write func()) {
	l, stood := m.locks[key]
	write()
	if stood {
		m.locks[key] = l
	}
}

// dropSabotages leave the lock standing for one kind of write each.
func dropSabotages() []sabotage {
	return []sabotage{
		{"keeps locks at Set", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (err error) {
				keepLock(m, key, func() { err = m.Set(ctx, key, value, o) })
				return err
			}
		}, []string{"Locked/DroppedBySet", "Force/DroppedBySet", "GetAndLock/HandlesAreUnguessable"}},
		{"keeps locks at Remove", func(m *Model, b *broken) {
			b.remove = func(ctx context.Context, key string) (err error) {
				keepLock(m, key, func() { err = m.Remove(ctx, key) })
				return err
			}
		}, []string{"Locked/DroppedByRemove", "Force/DroppedByRemove"}},
		{"keeps locks at SetMany", func(m *Model, b *broken) {
			b.setMany = func(ctx context.Context, items []cache.Item) (err error) {
				keepLock(m, "k", func() { err = m.SetMany(ctx, items) })
				return err
			}
		}, []string{"Locked/DroppedBySetMany"}},
		{"keeps locks at RemoveMany", func(m *Model, b *broken) {
			b.removeMan = func(ctx context.Context, keys []string) (err error) {
				keepLock(m, "k", func() { err = m.RemoveMany(ctx, keys) })
				return err
			}
		}, []string{"Locked/DroppedByRemoveMany"}},
		{"keeps locks at Clear", func(m *Model, b *broken) {
			b.clear = func(ctx context.Context) (err error) {
				keepLock(m, "k", func() { err = m.Clear(ctx) })
				return err
			}
			b.remove = func(ctx context.Context, key string) (err error) {
				keepLock(m, key, func() { err = m.Remove(ctx, key) })
				return err
			}
		}, []string{"Locked/DroppedByClear", "Force/DroppedByClear"}},
		{"refuses to write objects over a lock", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				if m.lockedLocked(key) {
					return cache.ErrLocked
				}
				return m.SetObject(ctx, key, value, o)
			}
		}, []string{"Locked/DroppedBySetObject"}},
		{"keeps locks at CompareAndSet", func(m *Model, b *broken) {
			b.compareAndSet = func(ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (v cache.Version, err error) {
				keepLock(m, key, func() { v, err = m.CompareAndSet(ctx, key, value, have, o) })
				return v, err
			}
		}, []string{"Locked/DroppedByCompareAndSet"}},
		{"keeps locks at RemoveVersion", func(m *Model, b *broken) {
			b.removeVersion = func(ctx context.Context, key string, have cache.Version) (removed bool, err error) {
				keepLock(m, key, func() { removed, err = m.RemoveVersion(ctx, key, have) })
				return removed, err
			}
		}, []string{"Locked/DroppedByRemoveVersion"}},
		{"refuses to count over a lock", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				if m.lockedLocked(key) {
					return 0, cache.ErrLocked
				}
				return m.Increment(ctx, key, delta, o)
			}
		}, []string{"Force/DroppedByIncrement"}},
	}
}

func suspensionSabotages() []sabotage {
	return []sabotage{
		{"ends a locked entry at its deadline", func(m *Model, b *broken) {
			b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
				m.mu.Lock()
				if e := m.entries[key]; e != nil && !e.alive(time.Now()) {
					m.dropLocked(key)
				}
				m.mu.Unlock()
				return m.Get(ctx, key)
			}
		}, []string{"Locked/DoesNotExpire", "Locked/SlidingDoesNotExpire", "Unlock/PastTheDeadline", "ResetTTL/CountsFromNowThoughLocked"}},
		{"takes the deadline away by locking", takesAs(func(m *Model, key string, _ *cache.VersionedItem, _ *cache.LockHandle) {
			m.peek(key, func(e *modelEntry) { e.deadline, e.window = time.Time{}, 0 })
		}), []string{"Locked/DoesNotExpire", "Locked/SlidingDoesNotExpire", "Locked/LivesOnAfterTheLock",
			"Unlock/KeepsTheDeadline", "Unlock/PastTheDeadline", "Unlock/KeepsTheSlidingWindow"}},
		{"removes what was locked when the lock ends", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			item, h, err := m.GetAndLock(ctx, key, ttl, o)
			if err == nil {
				m.peek(key, func(e *modelEntry) { e.deadline = time.Now().Add(ttl) })
			}
			return item, h, err
		}), []string{"Locked/LivesOnAfterTheLock", "GetAndLock/EndsByItself"}},
		{"adds the time under the lock to the deadline", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, h cache.LockHandle, ttl time.Duration) error {
				err := m.Unlock(ctx, key, h, ttl)
				m.peek(key, func(e *modelEntry) { e.deadline = e.deadline.Add(time.Second) })
				return err
			}
		}, []string{"Unlock/KeepsTheDeadline", "Unlock/WithTTL"}},
		{"does not refresh what is locked", func(m *Model, b *broken) {
			b.refresh = func(ctx context.Context, key string) error {
				m.mu.Lock()
				stands := m.lockedLocked(key)
				m.mu.Unlock()
				if stands {
					return nil
				}
				return m.Refresh(ctx, key)
			}
		}, []string{"Locked/RefreshMovesSliding"}},
		{"unlocks without the ttl", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, h cache.LockHandle, _ time.Duration) error {
				return m.Unlock(ctx, key, h, 0)
			}
		}, []string{"Unlock/WithTTL", "Unlock/WithNoExpiry", "Unlock/BadInput"}},
		{"forgets the window at Unlock", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, h cache.LockHandle, ttl time.Duration) error {
				m.peek(key, func(e *modelEntry) { e.window = 0 })
				return m.Unlock(ctx, key, h, ttl)
			}
		}, []string{"Unlock/KeepsTheSlidingWindow"}},
	}
}

func forceSabotages() []sabotage {
	return []sabotage{
		{"leases what is locked by force", mapLease(func(m *Model, key string, r cache.LeaseReply) cache.LeaseReply {
			if r.State == cache.LeaseRefused {
				return cache.LeaseReply{State: cache.LeaseGranted, Lease: cache.Lease{1}}
			}
			return r
		}), []string{"Force/LeaseIsRefused"}},
		{"keeps the lease under a forced lock", takes(func(m *Model, ctx context.Context, key string, ttl time.Duration, o cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
			l := m.leases[key]
			item, h, err := m.GetAndLock(ctx, key, ttl, o)
			m.leases[key] = l
			return item, h, err
		}), []string{"Force/VoidsTheLease"}},
		{"makes an entry by unlocking", func(m *Model, b *broken) {
			b.unlock = func(ctx context.Context, key string, h cache.LockHandle, ttl time.Duration) error {
				err := m.Unlock(ctx, key, h, ttl)
				if err == nil && ttl != 0 {
					if _, found, _ := m.Get(ctx, key); !found {
						return m.Set(ctx, key, []byte{}, cache.EntryOptions{TTL: ttl})
					}
				}
				return err
			}
		}, []string{"Force/UnlockLeavesItAbsent"}},
	}
}
