package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// brokenVersions is Versioner, with each call replaceable.
type brokenVersions struct {
	getIfNewer    func(ctx context.Context, key string, have cache.Version) (cache.VersionedItem, bool, bool, error)
	getItem       func(ctx context.Context, key string) (cache.VersionedItem, bool, error)
	compareAndSet func(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error)
	add           func(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error)
	removeVersion func(ctx context.Context, key string, have cache.Version) (bool, error)
}

func versionsOf(m *Model) brokenVersions {
	return brokenVersions{
		getIfNewer: m.GetIfNewer, getItem: m.GetItem,
		compareAndSet: m.CompareAndSet, add: m.Add, removeVersion: m.RemoveVersion,
	}
}

func (b brokenVersions) GetItem(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
	return b.getItem(ctx, key)
}

func (b brokenVersions) GetIfNewer(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	return b.getIfNewer(ctx, key, have)
}

func (b brokenVersions) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return b.compareAndSet(ctx, key, value, have, opts)
}

func (b brokenVersions) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	return b.add(ctx, key, value, opts)
}

func (b brokenVersions) RemoveVersion(ctx context.Context, key string, have cache.Version) (bool, error) {
	return b.removeVersion(ctx, key, have)
}

// brokenLocks is Locker, with each call replaceable.
type brokenLocks struct {
	getAndLock   func(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error)
	putAndUnlock func(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error)
	unlock       func(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error
	removeLocked func(ctx context.Context, key string, handle cache.LockHandle) (bool, error)
	resetTTL     func(ctx context.Context, key string, ttl time.Duration) error
}

func locksOf(m *Model) brokenLocks {
	return brokenLocks{
		getAndLock: m.GetAndLock, putAndUnlock: m.PutAndUnlock, unlock: m.Unlock,
		removeLocked: m.RemoveLocked, resetTTL: m.ResetTTL,
	}
}

func (b brokenLocks) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
	return b.getAndLock(ctx, key, ttl, opts)
}

func (b brokenLocks) PutAndUnlock(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return b.putAndUnlock(ctx, key, value, handle, opts)
}

func (b brokenLocks) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	return b.unlock(ctx, key, handle, ttl)
}

func (b brokenLocks) RemoveLocked(ctx context.Context, key string, handle cache.LockHandle) (bool, error) {
	return b.removeLocked(ctx, key, handle)
}

func (b brokenLocks) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	return b.resetTTL(ctx, key, ttl)
}

// brokenMarks is WriteMarker, with each call replaceable.
type brokenMarks struct {
	beginWrite func(ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error)
	endWrite   func(ctx context.Context, key string, mark cache.WriteMark) error
}

func (b brokenMarks) BeginWrite(ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
	return b.beginWrite(ctx, key, ttl)
}

func (b brokenMarks) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	return b.endWrite(ctx, key, mark)
}
