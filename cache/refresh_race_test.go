package cache_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// Readers, refreshes and invalidations at once: nobody gets a value, however
// stale, from before an invalidation that had returned when he came.
func TestNothingStaleSurvivesAnInvalidation(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		c := openMemory(t)
		raceRefreshes(t, c, c)
	})
	t.Run("redis", func(t *testing.T) {
		m := redistest.Mini(t)
		open := func() cache.Cache {
			c, err := distributed.New(redistest.MiniClient(t, m), &distributed.Options{Budget: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeCache(t, c) })
			return c
		}
		raceRefreshes(t, open(), open())
	})
}

func raceRefreshes(t *testing.T, caches ...cache.Cache) {
	var truth, floor, stale atomic.Int64
	views := make([]*cache.Typed[int64], len(caches))
	for i, c := range caches {
		views[i] = typed(t, c, &cache.TypedOptions[int64]{
			Defaults: cache.EntryOptions{TTL: 4 * time.Millisecond},
			Freshness: cache.Freshness{
				SoftTTL: 2 * time.Millisecond, StaleIfError: time.Hour, RetryAfter: time.Millisecond,
				SoftTimeout: time.Millisecond, RefreshAhead: 1,
			},
		})
	}
	find := func(context.Context, *cache.Entry) (int64, error) {
		n := truth.Load()
		for range rand.N(200) {
			runtime.Gosched()
		}
		if rand.N(4) == 0 {
			return 0, errDown
		}
		return n, nil
	}
	end := time.Now().Add(500 * time.Millisecond)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for time.Now().Before(end) {
				least := floor.Load()
				got, err := views[i%2].GetOrCreateExclusive(t.Context(), "k", find)
				switch {
				case errors.Is(err, errDown):
				case err != nil:
					t.Errorf("%v", err)
				case got < least:
					stale.Add(1)
				}
				runtime.Gosched()
			}
		})
	}
	wg.Go(func() {
		for time.Now().Before(end) {
			n := truth.Add(1)
			if err := views[n%2].Remove(t.Context(), "k"); err != nil {
				t.Errorf("Remove: %v", err)
			}
			floor.Store(n)
			wait := time.Now().Add(time.Duration(rand.N(12)) * time.Millisecond)
			for time.Now().Before(wait) {
				runtime.Gosched()
			}
		}
	})
	wg.Wait()
	if n := stale.Load(); n != 0 {
		t.Errorf("%d reads got what had been invalidated before they began", n)
	}
}

// A refresh is joined by those only who found the very entry that it refreshes:
// here that is replaced elsewhere, and the new one expires, too, before the
// refresh ends.
func TestCallerDoesNotJoinARefreshOlderThanAWriteElsewhere(t *testing.T) {
	twoCaches(t, func(t *testing.T, here, there cache.Cache) {
		f := cache.Freshness{StaleIfError: time.Hour}
		v, other := typed(t, here, aging(f)), typed(t, there, aging(f))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 2*time.Minute)
		s.took = time.Second
		var first string
		var wg sync.WaitGroup
		wg.Go(func() { first, _ = v.GetOrCreateExclusive(t.Context(), "k", s.load) })
		synctest.Wait()
		if err := other.Set(t.Context(), "k", "set", cache.EntryOptions{TTL: 10 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		after(time.Now(), 20*time.Millisecond)
		got, err := v.GetOrCreateExclusive(t.Context(), "k", s.load)
		if got != "v3" || err != nil {
			t.Errorf("a caller that came after the write: got %q, %v; want v3", got, err)
		}
		if wg.Wait(); first != "v2" {
			t.Errorf("the caller that began the refresh: got %q, want v2", first)
		}
		s.ask(t, v, "stored", "v3", nil, 0)
	})
}

// A process that dies while it refreshes keeps the others from it for as long as
// its lease lasts, and nobody from the value.
func TestRefreshAfterItsProcessDied(t *testing.T) {
	twoCaches(t, func(t *testing.T, here, there cache.Cache) {
		v := typed(t, here, aging(cache.Freshness{SoftTTL: 10 * time.Second, RetryAfter: time.Second}))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 20*time.Second)
		leaser, _ := cache.As[cache.Leaser](there)
		if reply, err := leaser.Lease(t.Context(), "larder refresh\x00k", 5*time.Second); err != nil || reply.State != cache.LeaseGranted {
			t.Fatalf("got %v, %v", reply, err)
		}
		died := time.Now()
		for second := range 5 {
			after(died, time.Duration(second)*time.Second)
			s.ask(t, v, "another process refreshes it", "v1", nil, 0)
			synctest.Wait()
			s.wantLoads(t, "another process refreshes it", 1)
		}
		after(died, 5*time.Second)
		s.ask(t, v, "its lease is over", "v1", nil, 0)
		synctest.Wait()
		s.wantLoads(t, "its lease is over", 2)
		s.ask(t, v, "refreshed", "v2", nil, 0)
	})
}

// A refresh that comes to depend on a region which expired since it began is not
// stored, although the entry that it was to replace does not depend on it.
func TestRefreshUnderARegionThatExpires(t *testing.T) {
	eachShared(t, func(t *testing.T, open func() cache.Cache) {
		f := cache.Freshness{SoftTTL: 10 * time.Second}
		here, there := typed(t, open(), aging(f)), typed(t, open(), aging(f))
		useShelf(t, here, there)
		s := &origin{}
		s.ask(t, here, "a miss", "v1", nil, 0)
		after(time.Now(), 10*time.Second)
		s.took = time.Second
		s.telling(onShelf)
		s.ask(t, here, "stale", "v1", nil, 0)
		synctest.Wait()
		regions, _ := cache.As[cache.Regions](there.Cache())
		if err := regions.ExpireTokens(t.Context(), shelf); err != nil {
			t.Fatal(err)
		}
		after(time.Now(), 2*time.Second)
		if got, found, err := here.Get(t.Context(), "k"); got != "v1" || !found || err != nil {
			t.Errorf("the refused refresh: got %q, %v, %v; want the old value", got, found, err)
		}
		s.ask(t, here, "stale still", "v1", nil, 0)
		after(time.Now(), 2*time.Second)
		s.ask(t, here, "refreshed after the expiration", "v3", nil, 0)
	})
}

// A sliding expiration ends what nobody reads, and a soft TTL refreshes what is
// read.
func TestSlidingAndSoftTTL(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed(t, k.open(t), &cache.TypedOptions[string]{
					Defaults:  cache.EntryOptions{SlidingExpiration: 6 * time.Second},
					Freshness: cache.Freshness{SoftTTL: 10 * time.Second},
				})
				s := &origin{}
				s.ask(t, v, "a miss", "v1", nil, 0)
				stored := time.Now()
				after(stored, 5*time.Second)
				s.ask(t, v, "read", "v1", nil, 0)
				after(stored, 10*time.Second)
				s.ask(t, v, "stale", "v1", nil, 0)
				synctest.Wait()
				s.ask(t, v, "refreshed", "v2", nil, 0)
				after(time.Now(), 6*time.Second-time.Millisecond)
				s.ask(t, v, "within its window", "v2", nil, 0)
				after(time.Now(), 6*time.Second)
				s.ask(t, v, "not read for too long", "v3", nil, 0)
			})
		})
	}
}
