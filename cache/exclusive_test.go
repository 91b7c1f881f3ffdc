package cache_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// everyKind runs test on each kind of cache, inside a bubble of virtual time.
func everyKind(t *testing.T, test func(t *testing.T, c cache.Cache)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, k.open(t)) })
		})
	}
}

type product struct {
	Name  string
	Price int
}

func load[V any](v V) func(context.Context, *cache.Entry) (V, error) {
	return func(context.Context, *cache.Entry) (V, error) { return v, nil }
}

// held is a loader that waits until it is let go, or its context ends.
type held struct {
	calls   atomic.Int32
	cause   atomic.Value
	release chan struct{}
}

func newHeld() *held { return &held{release: make(chan struct{})} }

func (h *held) load(v string) func(context.Context, *cache.Entry) (string, error) {
	return func(ctx context.Context, _ *cache.Entry) (string, error) {
		h.calls.Add(1)
		select {
		case <-h.release:
			return v, nil
		case <-ctx.Done():
			h.cause.Store(context.Cause(ctx))
			return "", ctx.Err()
		}
	}
}

// call is one call of GetOrCreateExclusive in a goroutine.
type call struct {
	value string
	err   error
	done  chan struct{}
}

func start(ctx context.Context, v *cache.Typed[string], create func(context.Context, *cache.Entry) (string, error)) *call {
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.value, c.err = v.GetOrCreateExclusive(ctx, "k", create)
	}()
	return c
}

func (c *call) want(t *testing.T, value string, err error) {
	t.Helper()
	<-c.done
	if c.value != value || !errors.Is(c.err, err) {
		t.Errorf("got %q, %v; want %q, %v", c.value, c.err, value, err)
	}
}

func TestMissLoadsOnceAndHitsAfterwards(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		products := typed[product](t, c, nil)
		want := product{"tea", 3}
		for range 3 {
			got, err := products.GetOrCreateExclusive(t.Context(), "k", load(want))
			if err != nil || got != want {
				t.Fatalf("got %v, %v; want %v", got, err, want)
			}
		}
		got, err := products.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (product, error) {
			t.Error("a hit ran the loader")
			return product{}, nil
		})
		if err != nil || got != want {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
		if got, found, err := products.Get(t.Context(), "k"); got != want || !found || err != nil {
			t.Errorf("Get: got %v, %v, %v; want %v, true, nil", got, found, err, want)
		}
	})
}

func TestConcurrentCallersShareOneLoad(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		h := newHeld()
		var calls []*call
		for range 1000 {
			calls = append(calls, start(t.Context(), v, h.load("v")))
		}
		synctest.Wait()
		close(h.release)
		for _, c := range calls {
			c.want(t, "v", nil)
		}
		if n := h.calls.Load(); n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
	})
}

// The load's result must not depend on the order in which callers arrive at the
// flight and the flight ends: a caller that missed before the fill must find it.
func TestOneLoadPerKeyWithoutVirtualTime(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			v := typed[string](t, k.open(t), nil)
			var loads atomic.Int32
			var wg sync.WaitGroup
			for range 10_000 {
				wg.Go(func() {
					got, err := v.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (string, error) {
						loads.Add(1)
						runtime.Gosched()
						return "v", nil
					})
					if got != "v" || err != nil {
						t.Errorf("got %q, %v", got, err)
					}
				})
			}
			wg.Wait()
			if n := loads.Load(); n != 1 {
				t.Errorf("got %d loads, want 1", n)
			}
		})
	}
}

func TestCallersCancellationEndsItsWaitOnly(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		h := newHeld()
		ctx, cancel := context.WithCancel(t.Context())
		leader := start(ctx, v, h.load("v"))
		synctest.Wait()
		follower := start(t.Context(), v, h.load("unused"))
		hurried, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		late := start(hurried, v, h.load("unused"))
		synctest.Wait()

		cancel()
		leader.want(t, "", context.Canceled)
		late.want(t, "", context.DeadlineExceeded)
		close(h.release)
		follower.want(t, "v", nil)
		if n := h.calls.Load(); n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
	})
}

func TestLoadIsCancelledWhenTheLastCallerLeaves(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		h := newHeld()
		ctx, cancel := context.WithCancel(t.Context())
		calls := []*call{start(ctx, v, h.load("v")), start(ctx, v, h.load("v"))}
		synctest.Wait()
		cancel()
		for _, c := range calls {
			c.want(t, "", context.Canceled)
		}
		synctest.Wait()
		if cause := h.cause.Load(); cause != cache.ErrAbandoned {
			t.Errorf("the load's context ended with %v, want ErrAbandoned", cause)
		}
		got, err := v.GetOrCreateExclusive(t.Context(), "k", load("next"))
		if got != "next" || err != nil {
			t.Errorf("after an abandoned load: got %q, %v; want \"next\"", got, err)
		}
	})
}

func TestLoadKeepsTheFirstCallersValuesOnly(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		type name struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), name{}, "ann"), time.Hour)
		defer cancel()
		_, err := typed[string](t, c, &cache.TypedOptions[string]{LoadTimeout: time.Minute}).GetOrCreateExclusive(ctx, "k",
			func(ctx context.Context, _ *cache.Entry) (string, error) {
				if got := ctx.Value(name{}); got != "ann" {
					t.Errorf("context value: got %v, want ann", got)
				}
				if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Minute {
					t.Errorf("deadline: got %v from now, want the load's 1m", time.Until(at))
				}
				return "v", nil
			})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestCloseEndsLoads(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := k.open(t).(cache.Backend)
				v := cache.NewTyped[string](c, nil)
				h := newHeld()
				waiting := start(t.Context(), v, h.load("v"))
				synctest.Wait()
				if err := c.Close(t.Context()); err != nil {
					t.Errorf("Close: %v", err)
				}
				waiting.want(t, "", cache.ErrClosed)
				_, err := v.GetOrCreateExclusive(t.Context(), "k", load("v"))
				if !errors.Is(err, cache.ErrClosed) {
					t.Errorf("after Close: got %v, want ErrClosed", err)
				}
			})
		})
	}
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		v := cache.NewTyped[string](c, nil)
		release := make(chan struct{})
		stubborn := start(t.Context(), v, func(context.Context, *cache.Entry) (string, error) {
			<-release
			return "v", nil
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close with a stubborn loader: got %v, want DeadlineExceeded", err)
		}
		stubborn.want(t, "", cache.ErrClosed)
		close(release)
	})
}

func TestTwoTypesOfOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		texts, numbers := cache.NewTyped[string](c, nil), cache.NewTyped[int](c, nil)
		h := newHeld()
		loading := start(t.Context(), texts, h.load("v"))
		synctest.Wait()
		if _, err := numbers.GetOrCreateExclusive(t.Context(), "k", load(1)); !errors.Is(err, cache.ErrTypeMismatch) {
			t.Errorf("joining a load of another type: got %v, want ErrTypeMismatch", err)
		}
		close(h.release)
		loading.want(t, "v", nil)
	})
}

func TestBadInput(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		never := func(context.Context, *cache.Entry) (string, error) {
			t.Error("the loader ran")
			return "", nil
		}
		long := string(make([]byte, cache.MaxKeyLength+1))
		tests := []struct {
			name string
			ctx  context.Context
			key  string
			load func(context.Context, *cache.Entry) (string, error)
			want error
		}{
			{"nil context", nil, "k", never, cache.ErrNilContext},
			{"ended context", cancelled, "k", never, context.Canceled},
			{"empty key", t.Context(), "", never, cache.ErrInvalidKey},
			{"reserved key", t.Context(), cache.ReservedPrefix + "k", never, cache.ErrInvalidKey},
			{"long key", t.Context(), long, never, cache.ErrKeyTooLong},
			{"nil loader", t.Context(), "k", nil, cache.ErrNilLoader},
		}
		for _, tt := range tests {
			if _, err := v.GetOrCreateExclusive(tt.ctx, tt.key, tt.load); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}
