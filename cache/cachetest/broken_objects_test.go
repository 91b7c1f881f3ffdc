package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// brokenObjects is Ordered, ObjectVersioner and ObjectLocker, with each call
// replaceable.
type brokenObjects struct {
	setIfNewer          func(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error
	getObjectItem       func(ctx context.Context, key string) (cache.Versioned[any], bool, error)
	compareAndSetObject func(ctx context.Context, key string, value any, have cache.Version, opts cache.EntryOptions) (cache.Version, error)
	addObject           func(ctx context.Context, key string, value any, opts cache.EntryOptions) (cache.Version, error)
	setObjectIfNewer    func(ctx context.Context, key string, value any, order uint64, opts cache.EntryOptions) error
	getObjectAndLock    func(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error)
	putObjectAndUnlock  func(ctx context.Context, key string, value any, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error)
}

func objectsOf(m *Model) brokenObjects {
	return brokenObjects{
		setIfNewer: m.SetIfNewer, getObjectItem: m.GetObjectItem, compareAndSetObject: m.CompareAndSetObject,
		addObject: m.AddObject, setObjectIfNewer: m.SetObjectIfNewer,
		getObjectAndLock: m.GetObjectAndLock, putObjectAndUnlock: m.PutObjectAndUnlock,
	}
}

func (b brokenObjects) SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error {
	return b.setIfNewer(ctx, key, value, order, opts)
}

func (b brokenObjects) GetObjectItem(ctx context.Context, key string) (cache.Versioned[any], bool, error) {
	return b.getObjectItem(ctx, key)
}

func (b brokenObjects) CompareAndSetObject(ctx context.Context, key string, value any, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return b.compareAndSetObject(ctx, key, value, have, opts)
}

func (b brokenObjects) AddObject(ctx context.Context, key string, value any, opts cache.EntryOptions) (cache.Version, error) {
	return b.addObject(ctx, key, value, opts)
}

func (b brokenObjects) SetObjectIfNewer(ctx context.Context, key string, value any, order uint64, opts cache.EntryOptions) error {
	return b.setObjectIfNewer(ctx, key, value, order, opts)
}

func (b brokenObjects) GetObjectAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error) {
	return b.getObjectAndLock(ctx, key, ttl, opts)
}

func (b brokenObjects) PutObjectAndUnlock(ctx context.Context, key string, value any, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return b.putObjectAndUnlock(ctx, key, value, handle, opts)
}
