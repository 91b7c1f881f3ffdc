package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

func orderCalls(c cache.Cache) []call {
	o, ok := cache.As[cache.Ordered](c)
	if !ok {
		return nil
	}
	return []call{{"SetIfNewer", func(ctx context.Context, key string) error {
		return o.SetIfNewer(ctx, key, []byte("new"), 1, cache.EntryOptions{TTL: time.Hour})
	}}}
}

func objectChangeCalls(c cache.Cache) (all []call) {
	opts := cache.EntryOptions{TTL: time.Hour}
	if v, ok := cache.As[cache.ObjectVersioner](c); ok {
		all = append(all,
			call{"GetObjectItem", func(ctx context.Context, key string) error { _, _, err := v.GetObjectItem(ctx, key); return err }},
			call{"CompareAndSetObject", func(ctx context.Context, key string) error {
				_, err := v.CompareAndSetObject(ctx, key, "new", cache.Version{1}, opts)
				return err
			}},
			call{"AddObject", func(ctx context.Context, key string) error { _, err := v.AddObject(ctx, key, "new", opts); return err }},
			call{"SetObjectIfNewer", func(ctx context.Context, key string) error { return v.SetObjectIfNewer(ctx, key, "new", 1, opts) }},
		)
	}
	if l, ok := cache.As[cache.ObjectLocker](c); ok {
		all = append(all,
			call{"GetObjectAndLock", func(ctx context.Context, key string) error {
				_, _, err := l.GetObjectAndLock(ctx, key, time.Hour, cache.LockOptions{Force: true})
				return err
			}},
			call{"PutObjectAndUnlock", func(ctx context.Context, key string) error {
				_, err := l.PutObjectAndUnlock(ctx, key, "new", cache.LockHandle{1}, opts)
				return err
			}},
		)
	}
	return all
}
