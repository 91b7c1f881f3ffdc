package cache_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// ErrNotFound is an answer: with it the old value is gone, or a negative entry
// takes its place.
func TestRefreshThatFindsNothing(t *testing.T) {
	for _, negative := range []time.Duration{0, 5 * time.Second} {
		everyKind(t, func(t *testing.T, c cache.Cache) {
			opts := aging(cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: time.Hour})
			opts.NegativeTTL = negative
			v := typed(t, c, opts)
			s := &origin{}
			s.ask(t, v, "a miss", "v1", nil, 0)
			after(time.Now(), 10*time.Second)
			s.failing(cache.ErrNotFound)
			s.ask(t, v, "stale", "v1", nil, 0)
			synctest.Wait()
			s.wantLoads(t, "refreshed", 2)
			_, found, err := v.Get(t.Context(), "k")
			if found || (negative > 0) != errors.Is(err, cache.ErrNotFound) {
				t.Errorf("NegativeTTL %v: got %v, %v", negative, found, err)
			}
		})
	}
}

func TestNoStoreRemovesWhatItWasToRefresh(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 10*time.Second)
		s.telling(func(_ context.Context, e *cache.Entry) error { e.NoStore = true; return nil })
		s.ask(t, v, "stale", "v1", nil, 0)
		synctest.Wait()
		s.ask(t, v, "not stored", "v3", nil, 0)
	})
}

// A loader sees what it is to replace, and may keep it.
func TestConditionalRefresh(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		type seen struct {
			value, etag string
			stale       bool
		}
		var saw seen
		modified := true
		s := &origin{}
		s.telling(func(_ context.Context, e *cache.Entry) error {
			saw.value, saw.stale = cache.Previous[string](e)
			saw.etag = e.PreviousETag()
			if saw.stale != e.Stale() {
				t.Error("Stale and Previous contradict each other")
			}
			if _, ok := cache.Previous[int](e); ok {
				t.Error("a string as an int")
			}
			if !modified {
				return cache.ErrNotModified
			}
			e.ETag = `"` + string(rune('a'+s.loads)) + `"`
			return nil
		})
		s.ask(t, v, "a miss", "v1", nil, 0)
		if want := (seen{}); saw != want {
			t.Errorf("a first load: saw %v", saw)
		}
		modified = false
		for n := 2; n <= 3; n++ {
			after(time.Now(), 10*time.Second)
			s.ask(t, v, "stale", "v1", nil, 0)
			synctest.Wait()
			s.wantLoads(t, "stale", n)
			if want := (seen{"v1", `"b"`, true}); saw != want {
				t.Errorf("load %d: saw %v, want %v", n, saw, want)
			}
			after(time.Now(), 10*time.Second-time.Millisecond)
			s.ask(t, v, "in its new lifetime", "v1", nil, 0)
			synctest.Wait()
			s.wantLoads(t, "in its new lifetime", n)
			after(time.Now(), time.Millisecond)
		}
		modified = true
		s.ask(t, v, "stale", "v1", nil, 0)
		synctest.Wait()
		s.ask(t, v, "modified", "v4", nil, 0)
		modified = false
		if err := v.Remove(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		s.ask(t, v, "nothing to keep", "", cache.ErrNotModified, 0)
	})
}

// Each entry may age in its own way: its loader says so, and of what it says a
// negative number is off.
func TestFreshnessOfAnEntry(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		s := &origin{}
		own := cache.Freshness{SoftTTL: 20 * time.Second}
		s.telling(func(_ context.Context, e *cache.Entry) error { e.Freshness = own; return nil })
		s.ask(t, v, "a miss", "v1", nil, 0)
		stored := time.Now()
		after(stored, 20*time.Second-time.Millisecond)
		s.ask(t, v, "before its soft TTL", "v1", nil, 0)
		synctest.Wait()
		s.wantLoads(t, "before its soft TTL", 1)
		after(stored, 20*time.Second)
		own = cache.Freshness{SoftTTL: -1}
		s.ask(t, v, "at its soft TTL", "v1", nil, 0)
		synctest.Wait()
		s.wantLoads(t, "at its soft TTL", 2)
		after(stored, 75*time.Second)
		s.ask(t, v, "off", "v2", nil, 0)
		synctest.Wait()
		s.wantLoads(t, "off", 2)
	})
}

// Entries that others look after are left to them.
func TestRefreshKeepsClearOfLocksAndOrder(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed(t, k.open(t), aging(cache.Freshness{SoftTTL: 10 * time.Second}))
				s := &origin{took: time.Second}
				if err := v.SetIfNewer(t.Context(), "k", "ordered", 5, cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
				after(time.Now(), 20*time.Second)
				s.ask(t, v, "ordered", "ordered", nil, 0)
				synctest.Wait()
				s.wantLoads(t, "ordered", 0)

				if err := v.Set(t.Context(), "k", "set", cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
				after(time.Now(), 20*time.Second)
				_, handle, err := v.GetAndLock(t.Context(), "k", 5*time.Second, cache.LockOptions{})
				if err != nil {
					t.Fatal(err)
				}
				s.ask(t, v, "locked", "set", nil, 0)
				synctest.Wait()
				s.wantLoads(t, "locked", 0)
				if err := v.Unlock(t.Context(), "k", handle, 0); err != nil {
					t.Fatal(err)
				}
				after(time.Now(), 2*time.Second)
				s.ask(t, v, "unlocked", "set", nil, 0)
				synctest.Wait()
				s.wantLoads(t, "unlocked", 1)
				if _, handle, err = v.GetAndLock(t.Context(), "k", 5*time.Second, cache.LockOptions{}); err != nil {
					t.Fatal(err)
				}
				after(time.Now(), 2*time.Second)
				if _, err := v.PutAndUnlock(t.Context(), "k", "put", handle, cache.EntryOptions{}); err != nil {
					t.Errorf("the refresh took the lock away: %v", err)
				}
				s.ask(t, v, "put", "put", nil, 0)
			})
		})
	}
}
