package cache_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// A refresh that succeeds and cannot be stored is as good as one that failed: it is
// not repeated at each hit.
func TestRefreshThatCannotBeStoredIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed(t, cache.Cache(openMemory(t)), aging(cache.Freshness{SoftTTL: 10 * time.Second, RetryAfter: 3 * time.Second}))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 10*time.Second)
		s.telling(func(_ context.Context, e *cache.Entry) error {
			e.Size = 1 << 40
			return nil
		})
		began := time.Now()
		s.ask(t, v, "stale", "v1", nil, 0)
		synctest.Wait()
		after(began, 3*time.Second-time.Millisecond)
		s.ask(t, v, "too soon", "v1", nil, 0)
		synctest.Wait()
		s.wantLoads(t, "too soon", 2)
		after(began, 3*time.Second)
		s.ask(t, v, "time to try again", "v1", nil, 0)
		synctest.Wait()
		s.wantLoads(t, "time to try again", 3)
	})
}

// An entry that is to be left alone is not looked at again at each hit.
func TestRefreshOfALockedEntryIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &hooked{Cache: openMemory(t)}
		v := typed(t, cache.Cache(c), aging(cache.Freshness{SoftTTL: 10 * time.Second, RetryAfter: 3 * time.Second}))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 10*time.Second)
		if _, _, err := c.GetObjectAndLock(t.Context(), "k", 30*time.Second, cache.LockOptions{}); err != nil {
			t.Fatal(err)
		}
		looks := 0
		look := func() { looks++ }
		began := time.Now()
		for _, step := range []struct {
			at   time.Duration
			want int
		}{{0, 1}, {3*time.Second - time.Millisecond, 1}, {3 * time.Second, 2}} {
			after(began, step.at)
			c.mu.Lock()
			c.onItem = look
			c.mu.Unlock()
			s.ask(t, v, "locked", "v1", nil, 0)
			synctest.Wait()
			if looks != step.want {
				t.Errorf("after %v: got %d looks at the entry, want %d", step.at, looks, step.want)
			}
		}
		s.wantLoads(t, "locked", 1)
	})
}

// A loader that pays no heed to its time keeps one caller waiting for each RetryAfter,
// and then the others get the old value at once.
func TestLoadThatNeverReturnsIsThrottled(t *testing.T) {
	one := func(ctx context.Context, v *cache.Typed[string], load func() string) (string, error) {
		return v.GetOrCreateExclusive(ctx, "k", func(context.Context, *cache.Entry) (string, error) { return load(), nil })
	}
	many := func(ctx context.Context, v *cache.Typed[string], load func() string) (string, error) {
		found, err := cache.GetOrCreateMany(ctx, v, []string{"k"}, strings.Clone,
			func(context.Context, []string, *cache.Entry) (map[string]string, error) {
				return map[string]string{"k": load()}, nil
			})
		return found["k"], err
	}
	for name, get := range map[string]func(context.Context, *cache.Typed[string], func() string) (string, error){"one": one, "many": many} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := aging(cache.Freshness{StaleIfError: time.Hour, RetryAfter: 3 * time.Second})
				opts.LoadTimeout = 2 * time.Second
				v := typed(t, cache.Cache(openMemory(t)), opts)
				s := &origin{}
				s.ask(t, v, "a miss", "v1", nil, 0)
				after(time.Now(), 2*time.Minute)
				end := make(chan struct{})
				began := time.Now()
				for _, want := range []time.Duration{2 * time.Second, 2 * time.Second, 5*time.Second - time.Millisecond, 7 * time.Second} {
					if want == 5*time.Second-time.Millisecond {
						after(began, want)
					} else if want == 7*time.Second {
						after(began, 5*time.Second)
					}
					got, err := get(t.Context(), v, func() string { <-end; return "late" })
					if got != "v1" || err != nil || time.Since(began) != want {
						t.Errorf("got %q, %v after %v; want v1 after %v", got, err, time.Since(began), want)
					}
				}
				close(end)
				synctest.Wait()
			})
		})
	}
}
