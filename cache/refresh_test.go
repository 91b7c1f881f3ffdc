package cache_test

import (
	"context"
	"errors"
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

// An entry that is removed elsewhere while a caller waits for a load is nothing to
// fall back on when the load fails.
func TestInvalidatedWhileALoadFails(t *testing.T) {
	eachShared(t, func(t *testing.T, open func() cache.Cache) {
		f := cache.Freshness{StaleIfError: time.Hour}
		here, there := typed(t, open(), aging(f)), typed(t, open(), aging(f))
		s := &origin{}
		s.ask(t, here, "a miss", "v1", nil, 0)
		after(time.Now(), 2*time.Minute)
		s.took = time.Second
		s.failing(errDown)
		time.AfterFunc(500*time.Millisecond, func() {
			if err := there.Remove(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		})
		got, err := here.GetOrCreateExclusive(t.Context(), "k", s.load)
		if !errors.Is(err, errDown) {
			t.Errorf("got %q, %v, want the failure", got, err)
		}
	})
}
