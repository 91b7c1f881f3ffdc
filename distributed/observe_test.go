package distributed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// recorder remembers events as "kind op", but for calls that were answered.
type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) Observe(_ context.Context, e cache.Event) {
	if e.Kind == cache.EventServerCall {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	what := e.Kind.String() + " " + e.Op + e.Detail
	if e.Layer != "redis" {
		what = e.Layer + " " + what
	}
	r.events = append(r.events, what)
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

func TestEvents(t *testing.T) {
	m := redistest.Mini(t)
	var r recorder
	c := open(t, redistest.MiniClient(t, m), distributed.Options{Observer: &r})
	ctx := t.Context()
	must(t, c.Set(ctx, "k", []byte("v"), forever))
	must(t, m.Set("foreign", "text"))
	_, err := c.Increment(ctx, "n", 1, forever)
	must(t, err)
	r.take()
	for name, tc := range map[string]struct {
		call func()
		want []string
	}{
		"hit":       {func() { _, _, _ = c.Get(ctx, "k") }, []string{"hit get"}},
		"append":    {func() { _, _, _ = c.AppendTo(ctx, nil, "k") }, []string{"hit append_to"}},
		"miss":      {func() { _, _, _ = c.Get(ctx, "absent") }, []string{"miss get"}},
		"foreign":   {func() { _, _, _ = c.Get(ctx, "foreign") }, []string{"undecodable get", "miss get"}},
		"count":     {func() { _, _, _ = c.Count(ctx, "n") }, []string{"hit count"}},
		"no count":  {func() { _, _, _ = c.Count(ctx, "absent") }, []string{"miss count"}},
		"wrong":     {func() { _, _, _ = c.Get(ctx, "n") }, nil},
		"many":      {func() { _, _ = c.GetMany(ctx, []string{"k", "absent"}) }, []string{"hit get_many", "miss get_many"}},
		"bad input": {func() { _ = c.Set(ctx, "", nil, forever) }, nil},
	} {
		tc.call()
		if got := r.take(); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestFailuresAreCountedAndSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		var r recorder
		var l line
		l.down.Store(true)
		c := open(t, l.client(t, m), distributed.Options{Observer: &r, BreakerFailures: 2})
		for range 2 {
			_, _, err := c.Get(t.Context(), "k")
			wantErr(t, err, cache.ErrUnavailable)
		}
		synctest.Wait()
		if got := r.take(); !slices.Equal(slices.Sorted(slices.Values(got)), []string{"breaker open", "server_error get", "server_error get"}) {
			t.Errorf("got %q", got)
		}
		_, _, err := c.Get(t.Context(), "k")
		wantErr(t, err, cache.ErrUnavailable)
		if s := c.Stats(); s.ServerErrors != 2 || s.Rejected != 1 {
			t.Errorf("got %d server errors and %d rejected, want 2 and 1", s.ServerErrors, s.Rejected)
		}
		l.down.Store(false)
		time.Sleep(10 * time.Second) // in the bubble
		synctest.Wait()
		wantMiss(t, c, "k")
		if got := r.take(); !slices.Contains(got, "breaker closed") {
			t.Errorf("got %q, want the breaker closed again", got)
		}
	})
}

// More windows than can be restarted at once: those that were not are seen, and
// the next read of such an entry tries again.
func TestDroppedTouches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		var r recorder
		c := open(t, redistest.MiniClient(t, m), distributed.Options{Observer: &r})
		ctx := t.Context()
		const n = 5000
		items, keys := make([]cache.Item, n), make([]string, n)
		for i := range items {
			keys[i] = fmt.Sprint("k", i)
			items[i] = cache.Item{Key: keys[i], Value: []byte("v"), Options: cache.EntryOptions{SlidingExpiration: time.Hour}}
		}
		must(t, c.SetMany(ctx, items))
		var restarted atomic.Int64
		watch(m, func(cmd string) {
			if cmd == "PEXPIRE" {
				restarted.Add(1)
			}
		})
		dropped := func() (d int64) {
			synctest.Wait()
			for _, event := range r.take() {
				if event == "touch_dropped touch" {
					d++
				}
			}
			return d
		}
		_, err := c.GetMany(ctx, keys)
		must(t, err)
		first := dropped()
		if first == 0 || first+restarted.Load() != n {
			t.Errorf("got %d restarted and %d dropped, want %d together and some dropped", restarted.Load(), first, n)
		}
		before := restarted.Load()
		_, err = c.GetMany(ctx, keys)
		must(t, err)
		if second := dropped(); second >= first || restarted.Load() == before {
			t.Errorf("the next reads dropped %d after %d, and restarted %d more", second, first, restarted.Load()-before)
		}
	})
}

// What the application writes ends a load of the same key; a load's own fill
// and its release do not.
func TestWritesEndLoads(t *testing.T) {
	for name, write := range map[string]func(ctx context.Context, c *distributed.Cache) error{
		"Set":    func(ctx context.Context, c *distributed.Cache) error { return c.Set(ctx, "k", []byte("x"), forever) },
		"Remove": func(ctx context.Context, c *distributed.Cache) error { return c.Remove(ctx, "k") },
		"Increment": func(ctx context.Context, c *distributed.Cache) error {
			_, err := c.Increment(ctx, "k", 1, forever)
			return err
		},
		"SetMany": func(ctx context.Context, c *distributed.Cache) error {
			return c.SetMany(ctx, []cache.Item{{Key: "k", Value: []byte("x")}})
		},
		"RemoveMany": func(ctx context.Context, c *distributed.Cache) error { return c.RemoveMany(ctx, []string{"k"}) },
		"Add": func(ctx context.Context, c *distributed.Cache) error {
			_, err := c.Add(ctx, "k", []byte("x"), forever)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := onMini(t)
				cause := make(chan error, 1)
				written := make(chan struct{})
				var loads atomic.Int64
				_, err := cache.GetOrCreateExclusive(t.Context(), c, "k", func(ctx context.Context, _ *cache.Entry) (string, error) {
					if loads.Add(1) == 1 {
						must(t, write(context.WithoutCancel(ctx), c))
						cause <- context.Cause(ctx)
						close(written)
					}
					<-written // the next load must not fill in between
					return "value", nil
				})
				must(t, err)
				if got := <-cause; !errors.Is(got, cache.ErrInvalidated) {
					t.Errorf("got cause %v, want the load's context ended by %v", got, cache.ErrInvalidated)
				}
			})
		})
	}
	for name, write := range map[string]func(ctx context.Context, c *distributed.Cache) error{
		"fill": func(ctx context.Context, c *distributed.Cache) error {
			return c.Set(ctx, "k", []byte("x"), fillWith(cache.Lease{1}))
		},
		"Release": func(ctx context.Context, c *distributed.Cache) error { return c.Release(ctx, "k", cache.Lease{1}) },
		"GetAndLock": func(ctx context.Context, c *distributed.Cache) error {
			_, handle, err := c.GetAndLock(ctx, "k", time.Minute, cache.LockOptions{Force: true})
			if err == nil {
				err = c.Unlock(ctx, "k", handle, 0)
			}
			return err
		},
		"ResetTTL":    func(ctx context.Context, c *distributed.Cache) error { return c.ResetTTL(ctx, "k", time.Minute) },
		"another key": func(ctx context.Context, c *distributed.Cache) error { return c.Remove(ctx, "other") },
		"refused":     func(ctx context.Context, c *distributed.Cache) error { return c.Set(ctx, "k", nil, forever) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := onMini(t)
				var loads atomic.Int64
				_, err := cache.GetOrCreateExclusive(t.Context(), c, "k", func(ctx context.Context, _ *cache.Entry) (string, error) {
					loads.Add(1)
					_ = write(ctx, c)
					return "value", context.Cause(ctx)
				})
				must(t, err)
				if got := loads.Load(); got != 1 {
					t.Errorf("it was loaded %d times, want once: nothing ended the load", got)
				}
			})
		})
	}
}

// Calls that were answered are told, each with its caller's context, a miss and a
// refusal of the server included.
func TestAnsweredCallsAreObserved(t *testing.T) {
	type caller struct{}
	var mu sync.Mutex
	got := map[string]int{}
	c, err := distributed.New(redistest.MiniClient(t, redistest.Mini(t)), &distributed.Options{
		Budget: time.Minute,
		Observer: cache.ObserverFunc(func(ctx context.Context, e cache.Event) {
			if e.Kind != cache.EventServerCall {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if ctx.Value(caller{}) == nil || e.Err != nil || e.Duration <= 0 || e.Layer != "redis" {
				t.Errorf("got %+v with the context %v", e, ctx)
			}
			got[e.Op]++
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	ctx := context.WithValue(t.Context(), caller{}, true)
	_, _, _ = c.Get(ctx, "missing")
	if err := c.Set(ctx, "k", []byte("v"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _, _ = c.Get(ctx, "k")
	_, _ = c.GetMany(ctx, []string{"k", "missing"})
	mu.Lock()
	defer mu.Unlock()
	if got["get"] != 4 || got["set"] != 1 {
		t.Errorf("got %v, want 4 get and 1 set", got)
	}
}
