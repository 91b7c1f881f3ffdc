package cachetest

import (
	"context"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
)

type versionLayer layer

func (l *versionLayer) GetItem(ctx context.Context, key string) (item cache.VersionedItem, found bool, err error) {
	err = l.hook.call(ctx, "get_item", l.hook.name(key), func(ctx context.Context, key string) error {
		item, found, err = l.versioner.GetItem(ctx, key)
		return err
	})
	if err != nil {
		return cache.VersionedItem{}, false, err
	}
	return item, found, nil
}

func (l *versionLayer) GetIfNewer(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	err = l.hook.call(ctx, "get_if_newer", l.hook.name(key), func(ctx context.Context, key string) error {
		item, newer, found, err = l.versioner.GetIfNewer(ctx, key, have)
		return err
	})
	if err != nil {
		return cache.VersionedItem{}, false, false, err
	}
	return item, newer, found, nil
}

func (l *versionLayer) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return l.stores(ctx, "compare_and_set", key, func(ctx context.Context, key string) (cache.Version, error) {
		return l.versioner.CompareAndSet(ctx, key, value, have, opts)
	})
}

func (l *versionLayer) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	return l.stores(ctx, "add", key, func(ctx context.Context, key string) (cache.Version, error) {
		return l.versioner.Add(ctx, key, value, opts)
	})
}

func (l *versionLayer) RemoveVersion(ctx context.Context, key string, have cache.Version) (removed bool, err error) {
	err = l.hook.call(ctx, "remove_version", l.hook.name(key), func(ctx context.Context, key string) error {
		removed, err = l.versioner.RemoveVersion(ctx, key, have)
		return err
	})
	return removed && err == nil, err
}

// stores is a call that makes a version, which goes with an outcome that is
// unknown.
func (l *versionLayer) stores(ctx context.Context, op, key string, do func(context.Context, string) (cache.Version, error)) (v cache.Version, err error) {
	err = l.hook.call(ctx, op, l.hook.name(key), func(ctx context.Context, key string) error {
		v, err = do(ctx, key)
		return err
	})
	if err != nil && !errors.Is(err, cache.ErrOutcomeUnknown) {
		return cache.Version{}, err
	}
	return v, err
}

type lockLayer layer

func (l *lockLayer) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (item cache.VersionedItem, handle cache.LockHandle, err error) {
	err = l.hook.call(ctx, "get_and_lock", l.hook.name(key), func(ctx context.Context, key string) error {
		item, handle, err = l.locker.GetAndLock(ctx, key, ttl, opts)
		return err
	})
	if err != nil {
		return cache.VersionedItem{}, cache.LockHandle{}, err
	}
	return item, handle, nil
}

func (l *lockLayer) PutAndUnlock(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return (*versionLayer)(l).stores(ctx, "put_and_unlock", key, func(ctx context.Context, key string) (cache.Version, error) {
		return l.locker.PutAndUnlock(ctx, key, value, handle, opts)
	})
}

func (l *lockLayer) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	return l.hook.call(ctx, "unlock", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.locker.Unlock(ctx, key, handle, ttl)
	})
}

func (l *lockLayer) RemoveLocked(ctx context.Context, key string, handle cache.LockHandle) (removed bool, err error) {
	err = l.hook.call(ctx, "remove_locked", l.hook.name(key), func(ctx context.Context, key string) error {
		removed, err = l.locker.RemoveLocked(ctx, key, handle)
		return err
	})
	return removed && err == nil, err
}

func (l *lockLayer) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	return l.hook.call(ctx, "reset_ttl", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.locker.ResetTTL(ctx, key, ttl)
	})
}

type markLayer layer

func (l *markLayer) BeginWrite(ctx context.Context, key string, ttl time.Duration) (mark cache.WriteMark, err error) {
	err = l.hook.call(ctx, "begin_write", l.hook.name(key), func(ctx context.Context, key string) error {
		mark, err = l.marker.BeginWrite(ctx, key, ttl)
		return err
	})
	if err != nil && !errors.Is(err, cache.ErrOutcomeUnknown) {
		return cache.WriteMark{}, err
	}
	return mark, err
}

func (l *markLayer) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	return l.hook.call(ctx, "end_write", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.marker.EndWrite(ctx, key, mark)
	})
}
