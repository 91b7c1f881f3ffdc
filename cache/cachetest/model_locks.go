package cachetest

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/larder-go/larder/cache"
)

type modelLock struct {
	handle cache.LockHandle
	until  time.Time
}

// lockedLocked reports whether a lock stands on key.
func (m *Model) lockedLocked(key string) bool {
	l, ok := m.locks[key]
	return ok && time.Now().Before(l.until)
}

// GetAndLock implements cache.Locker.
func (m *Model) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
	var found *modelEntry
	item, handle, err := m.takeLock(ctx, key, ttl, opts, kindBytes, func(e *modelEntry) { found = e })
	return bytesItem(item, found), handle, err
}

// GetObjectAndLock implements cache.ObjectLocker.
func (m *Model) GetObjectAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error) {
	return m.takeLock(ctx, key, ttl, opts, kindObject, func(*modelEntry) {})
}

// takeLock locks the key and tells, with mu held, which entry of that kind it has.
func (m *Model) takeLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions, kind entryKind, tell func(*modelEntry)) (item cache.Versioned[any], handle cache.LockHandle, err error) {
	if err := m.begin(ctx, key); err != nil {
		return item, handle, err
	}
	defer m.mu.Unlock()
	lasts, err := wholeTTL(ttl)
	if err != nil {
		return item, handle, err
	}
	e, err := m.kindLocked(key, kind)
	switch {
	case err != nil:
		return item, handle, err
	case m.lockedLocked(key):
		return item, handle, cache.ErrLocked
	case e == nil && !opts.Force:
		return item, handle, cache.ErrNoEntry
	}
	if e != nil {
		e.lastRead = time.Now()
		item = m.itemLocked(key, e)
		tell(e)
	}
	m.fence = max(m.fence+1, uint64(time.Now().UnixMicro()))
	item.Locked, item.Fence = true, m.fence
	l := modelLock{until: time.Now().Add(lasts)}
	_, _ = rand.Read(l.handle[:]) // never fails
	delete(m.leases, key)
	delete(m.marks, key)
	m.locks[key] = l
	return item, l.handle, nil
}

func checkHandle(h cache.LockHandle) error {
	if h == (cache.LockHandle{}) {
		return cache.ErrInvalidHandle
	}
	return nil
}

// holdsLocked returns nil if handle is that of the lock that stands on key,
// under which the value e is, if any.
func (m *Model) holdsLocked(key string, e *modelEntry, handle cache.LockHandle) error {
	switch {
	case m.lockedLocked(key) && m.locks[key].handle != handle:
		return cache.ErrInvalidHandle
	case m.lockedLocked(key):
		return nil
	case e == nil:
		return cache.ErrNoEntry
	default:
		return cache.ErrNotLocked
	}
}

// PutAndUnlock implements cache.Locker.
func (m *Model) PutAndUnlock(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, bytesEntry(value), opts, checkHandle(handle), func(e *modelEntry) error { return m.holdsLocked(key, e, handle) })
}

// PutObjectAndUnlock implements cache.ObjectLocker.
func (m *Model) PutObjectAndUnlock(ctx context.Context, key string, value any, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, objectEntry(value), opts, checkHandle(handle), func(e *modelEntry) error { return m.holdsLocked(key, e, handle) })
}

// Unlock implements cache.Locker.
func (m *Model) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if err := checkHandle(handle); err != nil {
		return err
	}
	var lives time.Duration
	if ttl != 0 && ttl != cache.NoExpiry {
		var err error
		if lives, err = wholeTTL(ttl); err != nil {
			return err
		}
	}
	e, err := m.changeableLocked(key)
	if err == nil {
		err = m.holdsLocked(key, e, handle)
	}
	if err != nil {
		return err
	}
	delete(m.locks, key)
	if e != nil && ttl != 0 {
		e.live(lives)
	}
	return nil
}

// live gives e that long to live from now, 0 for good, and restarts its window.
func (e *modelEntry) live(ttl time.Duration) {
	e.lastRead, e.deadline = time.Now(), time.Time{}
	if ttl > 0 {
		e.deadline = e.lastRead.Add(ttl)
	}
}

// RemoveLocked implements cache.Locker.
func (m *Model) RemoveLocked(ctx context.Context, key string, handle cache.LockHandle) (bool, error) {
	return m.removeIf(ctx, key, checkHandle(handle), func(e *modelEntry) bool { return m.holdsLocked(key, e, handle) == nil })
}

// ResetTTL implements cache.Locker.
func (m *Model) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	lives, err := wholeTTL(ttl)
	if err != nil {
		return err
	}
	e, err := m.changeableLocked(key)
	if err != nil {
		return err
	}
	if e == nil {
		return cache.ErrNoEntry
	}
	e.live(lives)
	return nil
}

// wholeTTL checks a ttl that must be positive and rounds it as EntryOptions are.
func wholeTTL(ttl time.Duration) (time.Duration, error) {
	if ttl <= 0 {
		return 0, cache.ErrInvalidTTL
	}
	_, life, err := cache.EntryOptions{TTL: ttl}.Resolve(cache.EntryOptions{}, time.Now())
	return life.TTL, err
}
