package memory_test

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

func writes() []call {
	var all []call
	for _, call := range allCalls() {
		switch call.name {
		case "Set", "SetObject", "Increment", "Remove", "SetMany", "RemoveMany", "Clear":
			all = append(all, call)
		}
	}
	return all
}

// A write voids the loads in flight before it changes anything, and once more
// before it returns, for a load that began in between.
func TestEveryWriteVoidsLoadsBeforeAndAfter(t *testing.T) {
	type loaded int // no write stores one, so a load that starts over finds nothing
	for _, write := range writes() {
		t.Run(write.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c *memory.Cache
				var mu sync.Mutex
				var causes []error // why loads ended
				started := make(chan struct{})
				load := func() {
					_, err := cache.GetOrCreateExclusive(ctx, c, "k", func(ctx context.Context, _ *cache.Entry) (loaded, error) {
						select {
						case started <- struct{}{}:
						case <-ctx.Done(): // a caller whose load was voided loads again; nobody waits for that
						}
						<-ctx.Done()
						mu.Lock()
						defer mu.Unlock()
						causes = append(causes, context.Cause(ctx))
						return 0, ctx.Err()
					})
					if err == nil {
						t.Error("a load that was ended worked")
					}
				}
				var once sync.Once
				c = open(t, &memory.Options{Observer: cache.ObserverFunc(func(_ context.Context, e cache.Event) {
					if e.Kind != cache.EventInvalidation {
						return
					}
					once.Do(func() { // the first call to Invalidate, on the writer's goroutine
						if c.Len() != 0 {
							t.Error("written before the load was voided")
						}
						go load()
						<-started
					})
				})})
				go load()
				<-started
				if err := write.do(c, ctx, "k"); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				mu.Lock()
				got := slices.Clone(causes)
				mu.Unlock()
				if len(got) != 2 || got[0] != cache.ErrInvalidated || got[1] != cache.ErrInvalidated {
					t.Errorf("loads ended with %v, want two invalidated", got)
				}
			})
		})
	}
}

// A fill is no write: it leaves the load that it belongs to alone.
func TestAFillVoidsNoLoad(t *testing.T) {
	seen := &events{}
	c := open(t, &memory.Options{Observer: seen})
	v, err := cache.GetOrCreateExclusive(ctx, c, "k", func(context.Context, *cache.Entry) (int, error) { return 7, nil })
	if v != 7 || err != nil {
		t.Fatal(v, err)
	}
	if n := seen.count(cache.EventInvalidation); n != 0 {
		t.Errorf("%d loads voided", n)
	}
	if co, name := c.Coordinate("k"); co == nil || name != "k" {
		t.Errorf("got %v, %q", co, name)
	}
}

// Whatever the interleaving, what a load from before a Clear filled is gone
// when the Clear has returned.
func TestAFillRacesWithClear(t *testing.T) {
	c := open(t, nil)
	for range 3000 {
		l := lease(t, c, "k", cache.LeaseGranted)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := fill(c, "k", "stale", l); err != nil && !errors.Is(err, cache.ErrLeaseLost) {
				t.Error(err)
			}
		})
		if err := c.Clear(ctx); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, found, _ := c.Get(ctx, "k"); found {
			t.Fatal("a fill from before the Clear stayed")
		}
	}
}

// Nothing that is stored while Close runs stays.
func TestASetRacesWithClose(t *testing.T) {
	for range 200 {
		c, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for err := error(nil); err == nil; {
					err = c.SetObject(ctx, "k", time.Now(), cache.EntryOptions{})
				}
			})
		}
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if n := c.Len(); n != 0 {
			t.Fatalf("%d entries stay", n)
		}
	}
}
