package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/memory"
)

// hook runs once, when something is about to be stored.
type hook struct {
	mu sync.Mutex
	do func()
}

func (h *hook) run() {
	h.mu.Lock()
	do := h.do
	h.do = nil
	h.mu.Unlock()
	if do != nil {
		do()
	}
}

type hookedMemory struct {
	*memory.Cache
	*hook
}

func (c hookedMemory) SetObject(ctx context.Context, key string, value any, opts cache.EntryOptions) error {
	c.run()
	return c.Cache.SetObject(ctx, key, value, opts)
}

func (c hookedMemory) CompareAndSetObject(ctx context.Context, key string, value any, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	c.run()
	return c.Cache.CompareAndSetObject(ctx, key, value, have, opts)
}

type hookedRedis struct {
	*distributed.Cache
	*hook
}

func (c hookedRedis) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	c.run()
	return c.Cache.Set(ctx, key, value, opts)
}

func (c hookedRedis) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	c.run()
	return c.Cache.CompareAndSet(ctx, key, value, have, opts)
}

// The narrowest gap: the refresh has loaded and looked, and is about to replace the
// entry, when that is invalidated. It is not stored, and a caller that comes after
// the invalidation gets nothing of it.
func TestInvalidationJustBeforeARefreshIsStored(t *testing.T) {
	open := map[string]func(t *testing.T, h *hook) (hooked, plain cache.Cache){
		"memory": func(t *testing.T, h *hook) (hooked, plain cache.Cache) {
			c := openMemory(t)
			return hookedMemory{c, h}, c
		},
		"redis": func(t *testing.T, h *hook) (hooked, plain cache.Cache) {
			c := openRedis(t)
			return hookedRedis{c, h}, c
		},
		"redis, another process": func(t *testing.T, h *hook) (hooked, plain cache.Cache) {
			m := redistest.Mini(t)
			var both [2]*distributed.Cache
			for i := range both {
				c, err := distributed.New(redistest.MiniClient(t, m), nil)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { closeCache(t, c) })
				both[i] = c
			}
			return hookedRedis{both[0], h}, both[1]
		},
	}
	f := cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: time.Hour}
	for name, open := range open {
		for _, age := range []time.Duration{20 * time.Second, 2 * time.Minute} {
			for _, inv := range invalidations {
				t.Run(name+", "+inv.name+" at "+age.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := &hook{}
						hooked, plain := open(t, h)
						here, there := typed(t, hooked, aging(f)), typed(t, plain, aging(f))
						useShelf(t, here, there)
						s := &origin{tell: onShelf}
						s.ask(t, here, "a miss", "v1", nil, 0)
						s.ask(t, here, "a hit", "v1", nil, 0)
						after(time.Now(), age)
						var wg sync.WaitGroup
						h.do = func() {
							if err := inv.do(t.Context(), there); err != nil {
								t.Error(err)
							}
							want := inv.want
							if want == "" {
								want = "v3"
							}
							for _, v := range []*cache.Typed[string]{here, there} {
								wg.Go(func() {
									if got, err := v.GetOrCreateExclusive(t.Context(), "k", s.load); err != nil || got != want && got != "v4" {
										t.Errorf("after the invalidation: got %q, %v; want %q", got, err, want)
									}
								})
							}
							time.Sleep(time.Millisecond) // for them to come
						}
						if got, err := here.GetOrCreateExclusive(t.Context(), "k", s.load); err != nil || age < time.Minute && got != "v1" {
							t.Errorf("during the refresh: got %q, %v", got, err)
						}
						after(time.Now(), time.Second)
						wg.Wait()
						if h.do != nil {
							t.Fatal("nothing was stored")
						}
						if got, _, err := here.Get(t.Context(), "k"); got == "v1" && inv.want != "v1" || got == "v2" || err != nil {
							t.Errorf("what is there: got %q, %v", got, err)
						}
					})
				})
			}
		}
	}
}
