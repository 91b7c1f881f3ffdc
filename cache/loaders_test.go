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

func TestErrorIsSharedAndNotCached(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		boom := errors.New("boom")
		release := make(chan struct{})
		var loads atomic.Int32
		failing := func(context.Context, *cache.Entry) (string, error) {
			loads.Add(1)
			<-release
			return "partial", boom
		}
		calls := []*call{start(t.Context(), v, failing), start(t.Context(), v, failing)}
		synctest.Wait()
		close(release)
		for _, c := range calls {
			c.want(t, "", boom)
		}
		if n := loads.Load(); n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
		// The lease is free at once: the next load is stored.
		if got, err := v.GetOrCreateExclusive(t.Context(), "k", load("v")); got != "v" || err != nil {
			t.Errorf("after an error: got %q, %v; want \"v\"", got, err)
		}
		if got, found, _ := v.Get(t.Context(), "k"); !found || got != "v" {
			t.Errorf("after an error the next load was not stored: %q, %v", got, found)
		}
	})
}

// Errors that mean something inside larder mean nothing in a loader's mouth.
func TestLoaderMayReturnLardersOwnErrors(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		for _, own := range []error{cache.ErrInvalidated, cache.ErrAbandoned, cache.ErrLeaseLost, cache.ErrUnavailable, context.Canceled} {
			_, err := v.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (string, error) { return "", own })
			if !errors.Is(err, own) {
				t.Errorf("got %v, want %v", err, own)
			}
		}
	})
}

func TestLoadTimeout(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, &cache.TypedOptions[string]{LoadTimeout: time.Second})
		for _, heeds := range []bool{true, false} {
			begin := time.Now()
			release := make(chan struct{})
			_, err := v.GetOrCreateExclusive(t.Context(), "k", func(ctx context.Context, _ *cache.Entry) (string, error) {
				if heeds {
					<-ctx.Done()
					return "", ctx.Err()
				}
				<-release
				return "too late", nil
			})
			if !errors.Is(err, cache.ErrLoadTimeout) || time.Since(begin) != time.Second {
				t.Errorf("got %v after %v; want ErrLoadTimeout after 1s", err, time.Since(begin))
			}
			synctest.Wait()
			got, err := v.GetOrCreateExclusive(t.Context(), "k", load("next"))
			if got != "next" || err != nil {
				t.Errorf("after a timeout: got %q, %v", got, err)
			}
			close(release)
			synctest.Wait()
			if got, found, _ := v.Get(t.Context(), "k"); found && got != "next" {
				t.Errorf("a load that timed out was stored over a later one: %q", got)
			}
			if err := v.Remove(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestPanicAndGoexitReachEveryCaller(t *testing.T) {
	cause := errors.New("cause")
	tests := []struct {
		name  string
		crash func()
		want  error
	}{
		{"panic with text", func() { panic("secret") }, cache.ErrLoaderPanic},
		{"panic with an error", func() { panic(cause) }, cause},
		{"panic with nil", func() { panic(nil) }, cache.ErrLoaderPanic}, //nolint:govet // on purpose
		{"Goexit", runtime.Goexit, cache.ErrLoaderGoexit},
	}
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		for _, tt := range tests {
			release := make(chan struct{})
			crash := func(context.Context, *cache.Entry) (string, error) {
				<-release
				tt.crash()
				return "", nil
			}
			calls := []*call{start(t.Context(), v, crash), start(t.Context(), v, crash)}
			synctest.Wait()
			close(release)
			for _, c := range calls {
				c.want(t, "", tt.want)
			}
			var p *cache.LoaderPanicError
			if errors.As(calls[0].err, &p) && len(p.Stack) == 0 {
				t.Errorf("%s: no stack", tt.name)
			}
			if got, err := v.GetOrCreateExclusive(t.Context(), "k", load("v")); got != "v" || err != nil {
				t.Errorf("after %s: got %q, %v; want \"v\"", tt.name, got, err)
			}
			if err := v.Remove(t.Context(), "k"); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestRecursionIsAnError(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, &cache.TypedOptions[string]{LoadTimeout: time.Second})
		_, err := v.GetOrCreateExclusive(t.Context(), "a", func(ctx context.Context, _ *cache.Entry) (string, error) {
			return v.GetOrCreateExclusive(ctx, "b", func(ctx context.Context, _ *cache.Entry) (string, error) {
				return v.GetOrCreateExclusive(ctx, "a", load("never"))
			})
		})
		if !errors.Is(err, cache.ErrRecursiveLoad) {
			t.Errorf("got %v, want ErrRecursiveLoad", err)
		}

		// Two loads that wait for each other know nothing of it; time ends them.
		var wg sync.WaitGroup
		nested := func(outer, inner string) {
			_, err := v.GetOrCreateExclusive(t.Context(), outer, func(ctx context.Context, _ *cache.Entry) (string, error) {
				time.Sleep(time.Millisecond)
				return v.GetOrCreateExclusive(ctx, inner, load("v"))
			})
			if !errors.Is(err, cache.ErrLoadTimeout) {
				t.Errorf("%s in %s: got %v, want ErrLoadTimeout", inner, outer, err)
			}
		}
		wg.Go(func() { nested("x", "y") })
		wg.Go(func() { nested("y", "x") })
		wg.Wait()
	})
}
