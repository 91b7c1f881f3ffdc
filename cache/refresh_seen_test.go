package cache_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// Observers and counters hear of all of it.
func TestAgeingIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var kinds []string
		c, err := memory.New(&memory.Options{Observer: cache.ObserverFunc(func(_ context.Context, e cache.Event) {
			switch e.Kind {
			case cache.EventStale, cache.EventRefresh, cache.EventErrorCached:
				mu.Lock()
				defer mu.Unlock()
				kinds = append(kinds, e.Kind.String())
			}
		})})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeCache(t, c) })
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: 10 * time.Second, ErrorTTL: time.Second}))
		s := &origin{}
		s.ask(t, v, "a miss", "v1", nil, 0)
		after(time.Now(), 10*time.Second)
		s.ask(t, v, "stale", "v1", nil, 0)
		synctest.Wait()
		s.failing(errDown)
		after(time.Now(), time.Minute)
		s.ask(t, v, "expired", "v2", nil, 0)
		after(time.Now(), 10*time.Second)
		s.ask(t, v, "gone", "", errDown, 0)
		s.ask(t, v, "gone", "", errDown, 0)
		want := []string{"stale_hit", "refresh", "refresh", "stale_hit", "error_cached"}
		slices.Sort(kinds[:2]) // these two at once
		if kinds[0] == "refresh" {
			kinds[0], kinds[1] = kinds[1], kinds[0]
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("got %v, want %v", kinds, want)
		}
		stats := c.Stats()
		if stats.StaleHits != 2 || stats.Refreshes != 2 || stats.ErrorsCached != 1 {
			t.Errorf("got %d stale hits, %d refreshes, %d cached errors", stats.StaleHits, stats.Refreshes, stats.ErrorsCached)
		}
	})
}

// Explain tells of an entry's age.
func TestExplainAge(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed(t, k.open(t), aging(cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: 10 * time.Second}))
				if err := v.Set(t.Context(), "k", "v", cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
				stored := time.Now()
				for _, want := range []struct {
					age    time.Duration
					state  cache.State
					served bool
				}{{0, cache.StateValue, true}, {10 * time.Second, cache.StateStale, true}, {time.Minute, cache.StateExpired, false}, {70 * time.Second, cache.StateAbsent, false}} {
					after(stored, want.age)
					e, err := v.Explain(t.Context(), "k")
					if err != nil || !e.Has(want.state) && (want.state != cache.StateAbsent || e.Has(cache.StateStale)) || e.Served() != want.served {
						t.Errorf("at %v: got %v, %v; want %v", want.age, e, err, want.state)
					}
				}
			})
		})
	}
}
