package cache_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

var shelf = cache.RegionToken("shelf")

// invalidations are the ways in which an entry becomes out of date before its
// time, and what is there afterwards.
var invalidations = []struct {
	name string
	want string // empty: nothing
	do   func(ctx context.Context, v *cache.Typed[string]) error
}{
	{"Remove", "", func(ctx context.Context, v *cache.Typed[string]) error { return v.Remove(ctx, "k") }},
	{"Set", "set", func(ctx context.Context, v *cache.Typed[string]) error {
		return v.Set(ctx, "k", "set", cache.EntryOptions{})
	}},
	{"ExpireTokens", "", func(ctx context.Context, v *cache.Typed[string]) error {
		regions, _ := cache.As[cache.Regions](v.Cache())
		return regions.ExpireTokens(ctx, shelf)
	}},
	{"Write", "written", func(ctx context.Context, v *cache.Typed[string]) error {
		_, err := v.Write(ctx, "k", cache.EntryOptions{}, load2("written"))
		return err
	}},
	{"BeginWrite and EndWrite", "", func(ctx context.Context, v *cache.Typed[string]) error {
		return cache.Write(ctx, v.Cache(), "k", func(context.Context) error { return nil })
	}},
	{"RemoveVersion", "", func(ctx context.Context, v *cache.Typed[string]) error {
		item, _, err := v.GetItem(ctx, "k")
		if err == nil {
			_, err = v.RemoveVersion(ctx, "k", item.Version)
		}
		return err
	}},
	{"CompareAndSet", "compared", func(ctx context.Context, v *cache.Typed[string]) error {
		item, _, err := v.GetItem(ctx, "k")
		if err == nil {
			_, err = v.CompareAndSet(ctx, "k", "compared", item.Version, cache.EntryOptions{})
		}
		return err
	}},
	{"Remove and Set of the same", "v1", func(ctx context.Context, v *cache.Typed[string]) error {
		return errors.Join(v.Remove(ctx, "k"), v.Set(ctx, "k", "v1", cache.EntryOptions{}))
	}},
	{"Clear", "", func(ctx context.Context, v *cache.Typed[string]) error {
		clearer, ok := cache.As[cache.Clearer](v.Cache())
		if !ok {
			return v.Remove(ctx, "k") // Redis is shared with others
		}
		return clearer.Clear(ctx)
	}},
}

func load2(v string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return v, nil }
}

func onShelf(_ context.Context, e *cache.Entry) error {
	e.AddToken(shelf)
	return nil
}

// useShelf makes the region known, without which the first load that names it is
// not stored.
func useShelf(t *testing.T, views ...*cache.Typed[string]) {
	for _, v := range views {
		regions, _ := cache.As[cache.Regions](v.Cache())
		regions.TrackRegions()
		if err := v.Set(t.Context(), "other", "x", cache.EntryOptions{Tokens: []cache.Token{shelf}}); err != nil {
			t.Fatal(err)
		}
	}
}

// Both kinds of cache that have all the capabilities.
func eachShared(t *testing.T, test func(t *testing.T, open func() cache.Cache)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := openMemory(t)
			test(t, func() cache.Cache { return c })
		})
	})
	t.Run("redis, same process", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := openRedis(t)
			test(t, func() cache.Cache { return c })
		})
	})
	t.Run("redis, another process", func(t *testing.T) {
		twoCaches(t, func(t *testing.T, here, there cache.Cache) {
			both := []cache.Cache{here, there}
			n := -1
			test(t, func() cache.Cache { n++; return both[n] })
		})
	})
}

func twoCaches(t *testing.T, test func(t *testing.T, here, there cache.Cache)) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) { test(t, here.Cache(), there.Cache()) })
}

// What was invalidated is not there to fall back on, however it ages.
func TestInvalidatedIsNeverServedStale(t *testing.T) {
	f := cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: time.Hour}
	for _, age := range []time.Duration{0, 20 * time.Second, 2 * time.Minute} {
		for _, inv := range invalidations {
			t.Run(inv.name+" at "+age.String(), func(t *testing.T) {
				eachShared(t, func(t *testing.T, open func() cache.Cache) {
					here, there := typed(t, open(), aging(f)), typed(t, open(), aging(f))
					useShelf(t, here, there)
					s := &origin{tell: onShelf}
					s.ask(t, here, "a miss", "v1", nil, 0)
					s.ask(t, there, "a hit", "v1", nil, 0)
					after(time.Now(), age)
					if err := inv.do(t.Context(), there); err != nil {
						t.Fatal(err)
					}
					s.failing(errDown)
					for range 2 {
						if inv.want == "" {
							s.ask(t, here, "invalidated", "", errDown, 0)
						} else {
							s.ask(t, here, "replaced", inv.want, nil, 0)
						}
					}
				})
			})
		}
	}
}

// A refresh during which its entry is invalidated is not stored, nor given to
// callers that come later, and nobody gets the old value any more.
func TestInvalidationDuringARefresh(t *testing.T) {
	ages := []struct {
		name string
		age  time.Duration
	}{{"stale", 20 * time.Second}, {"expired", 2 * time.Minute}}
	f := cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: time.Hour, SoftTimeout: 10 * time.Millisecond}
	for _, when := range ages {
		for _, inv := range invalidations {
			t.Run(inv.name+" when "+when.name, func(t *testing.T) {
				eachShared(t, func(t *testing.T, open func() cache.Cache) {
					here, there := typed(t, open(), aging(f)), typed(t, open(), aging(f))
					useShelf(t, here, there)
					s := &origin{tell: onShelf}
					s.ask(t, here, "a miss", "v1", nil, 0)
					s.ask(t, there, "a hit", "v1", nil, 0)
					after(time.Now(), when.age)
					s.took = time.Second
					if _, err := here.GetOrCreateExclusive(t.Context(), "k", s.load); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					s.wantLoads(t, "the refresh has begun", 2)
					if err := inv.do(t.Context(), there); err != nil {
						t.Fatal(err)
					}
					// The refresh goes on, or was cancelled; either way its value is v2.
					want := inv.want
					for _, v := range []*cache.Typed[string]{here, there} {
						if got, found, err := v.Get(t.Context(), "k"); got != want || found != (want != "") || err != nil {
							t.Errorf("during the refresh: got %q, %v, %v; want %q", got, found, err, want)
						}
					}
					if want == "" {
						s.ask(t, here, "a caller that comes after the invalidation", "v3", nil, time.Second)
						want = "v3"
					}
					after(time.Now(), 2*time.Second)
					for _, v := range []*cache.Typed[string]{here, there} {
						if got, found, err := v.Get(t.Context(), "k"); got != want || !found || err != nil {
							t.Errorf("after the refresh: got %q, %v, %v; want %q", got, found, err, want)
						}
					}
				})
			})
		}
	}
}

// However many callers of however many processes find a value stale or expired,
// one load refreshes it.
func TestOneRefreshAtATime(t *testing.T) {
	tests := []struct {
		name string
		age  time.Duration
	}{{"stale", 20 * time.Second}, {"expired", 2 * time.Minute}}
	f := cache.Freshness{SoftTTL: 10 * time.Second, StaleIfError: time.Hour}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachShared(t, func(t *testing.T, open func() cache.Cache) {
				views := []*cache.Typed[string]{typed(t, open(), aging(f)), typed(t, open(), aging(f))}
				s := &origin{}
				s.ask(t, views[0], "a miss", "v1", nil, 0)
				after(time.Now(), tt.age)
				s.took = 9 * time.Second // longer than a lease lasts that nobody extends
				start := time.Now()
				var wg sync.WaitGroup
				for i := range 40 {
					wg.Go(func() {
						time.Sleep(time.Duration(i) * 100 * time.Millisecond)
						got, err := views[i%2].GetOrCreateExclusive(t.Context(), "k", s.load)
						want := "v1"
						if tt.name == "expired" {
							want = "v2"
						}
						if got != want || err != nil {
							t.Errorf("caller %d: got %q, %v; want %q", i, got, err, want)
						}
					})
				}
				wg.Wait()
				after(start, 10*time.Second)
				s.wantLoads(t, tt.name, 2)
				for _, v := range views {
					s.ask(t, v, "refreshed", "v2", nil, 0)
				}
				s.wantLoads(t, "refreshed", 2)
			})
		})
	}
}

// A refresh goes on when the caller at whose call it began has left, and ends with
// the cache.
func TestRefreshBelongsToTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		type traceKey struct{}
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		s := &origin{took: time.Second}
		s.ask(t, v, "a miss", "v1", nil, time.Second)
		s.telling(func(ctx context.Context, _ *cache.Entry) error {
			if ctx.Value(traceKey{}) != "caller" {
				t.Error("the load has not the values of its caller")
			}
			return nil
		})
		after(time.Now(), 10*time.Second)
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), traceKey{}, "caller"))
		if got, err := v.GetOrCreateExclusive(ctx, "k", s.load); got != "v1" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		cancel()
		after(time.Now(), time.Second)
		s.ask(t, v, "refreshed", "v2", nil, 0)

		cause := make(chan error, 1)
		after(time.Now(), 10*time.Second)
		if _, err := v.GetOrCreateExclusive(t.Context(), "k", func(ctx context.Context, _ *cache.Entry) (string, error) {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return "", ctx.Err()
		}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		closeCache(t, c)
		if got := <-cause; !errors.Is(got, cache.ErrClosed) {
			t.Errorf("the refresh ended with %v, want ErrClosed", got)
		}
	})
}

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
