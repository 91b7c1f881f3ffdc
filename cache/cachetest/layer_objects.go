package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

type orderLayer layer

func (l *orderLayer) SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error {
	return l.hook.call(ctx, "set_if_newer", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.ordered.SetIfNewer(ctx, key, value, order, opts)
	})
}

type objectVersionLayer layer

func (l *objectVersionLayer) GetObjectItem(ctx context.Context, key string) (item cache.Versioned[any], found bool, err error) {
	err = l.hook.call(ctx, "get_object_item", l.hook.name(key), func(ctx context.Context, key string) error {
		item, found, err = l.objectVersioner.GetObjectItem(ctx, key)
		return err
	})
	if err != nil {
		return cache.Versioned[any]{}, false, err
	}
	return item, found, nil
}

func (l *objectVersionLayer) CompareAndSetObject(ctx context.Context, key string, value any, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return (*versionLayer)(l).stores(ctx, "compare_and_set_object", key, func(ctx context.Context, key string) (cache.Version, error) {
		return l.objectVersioner.CompareAndSetObject(ctx, key, value, have, opts)
	})
}

func (l *objectVersionLayer) AddObject(ctx context.Context, key string, value any, opts cache.EntryOptions) (cache.Version, error) {
	return (*versionLayer)(l).stores(ctx, "add_object", key, func(ctx context.Context, key string) (cache.Version, error) {
		return l.objectVersioner.AddObject(ctx, key, value, opts)
	})
}

func (l *objectVersionLayer) SetObjectIfNewer(ctx context.Context, key string, value any, order uint64, opts cache.EntryOptions) error {
	return l.hook.call(ctx, "set_object_if_newer", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.objectVersioner.SetObjectIfNewer(ctx, key, value, order, opts)
	})
}

func (l *objectVersionLayer) GetObjectAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (item cache.Versioned[any], handle cache.LockHandle, err error) {
	err = l.hook.call(ctx, "get_object_and_lock", l.hook.name(key), func(ctx context.Context, key string) error {
		item, handle, err = l.objectLocker.GetObjectAndLock(ctx, key, ttl, opts)
		return err
	})
	if err != nil {
		return cache.Versioned[any]{}, cache.LockHandle{}, err
	}
	return item, handle, nil
}

func (l *objectVersionLayer) PutObjectAndUnlock(ctx context.Context, key string, value any, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return (*versionLayer)(l).stores(ctx, "put_object_and_unlock", key, func(ctx context.Context, key string) (cache.Version, error) {
		return l.objectLocker.PutObjectAndUnlock(ctx, key, value, handle, opts)
	})
}
