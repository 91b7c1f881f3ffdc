package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// hooked calls its hooks, once each, when an object has been read.
type hooked struct {
	*memory.Cache

	mu               sync.Mutex
	onObject, onItem func()
}

func (c *hooked) once(hook *func()) {
	c.mu.Lock()
	f := *hook
	*hook = nil
	c.mu.Unlock()
	if f != nil {
		f()
	}
}

func (c *hooked) GetObject(ctx context.Context, key string) (any, bool, error) {
	value, found, err := c.Cache.GetObject(ctx, key)
	c.once(&c.onObject)
	return value, found, err
}

func (c *hooked) GetObjectItem(ctx context.Context, key string) (cache.Versioned[any], bool, error) {
	item, found, err := c.Cache.GetObjectItem(ctx, key)
	c.once(&c.onItem)
	return item, found, err
}

// A load for an expired entry finds that somebody has stored a new one, whose region
// expires before the load can hand it on: who comes after that does not get it.
func TestWhatARefreshFindsIsVoidWithItsRegion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &hooked{Cache: openMemory(t)}
		v := typed(t, cache.Cache(c), aging(cache.Freshness{StaleIfError: time.Hour}))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 2*time.Minute)

		shelf := cache.RegionToken("shelf")
		var late string
		var callers sync.WaitGroup
		came := make(chan struct{})
		c.onObject = func() {
			if err := v.Set(t.Context(), "k", "set", cache.EntryOptions{Tokens: []cache.Token{shelf}}); err != nil {
				t.Error(err)
			}
		}
		c.onItem = func() {
			if err := c.ExpireTokens(t.Context(), shelf); err != nil {
				t.Error(err)
			}
			callers.Go(func() { late, _ = v.GetOrCreateExclusive(t.Context(), "k", s.load) })
			close(came)
			synctest.Wait()
		}
		if _, err := v.GetOrCreateExclusive(t.Context(), "k", s.load); err != nil {
			t.Error(err)
		}
		<-came // the load may be void by then, and its caller not wait for it
		if callers.Wait(); late == "set" || late == "" {
			t.Errorf("a caller that came after the expiration: got %q, want what the source has", late)
		}
	})
}
