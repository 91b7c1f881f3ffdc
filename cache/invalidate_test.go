package cache_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// writes are the ways to invalidate a key during a load.
var writes = []struct {
	name  string
	do    func(ctx context.Context, v *cache.Typed[string]) error
	found bool // whether they leave a value
}{
	{"Remove", func(ctx context.Context, v *cache.Typed[string]) error { return v.Remove(ctx, "k") }, false},
	{"Set", func(ctx context.Context, v *cache.Typed[string]) error {
		return v.Set(ctx, "k", "set", cache.EntryOptions{})
	}, true},
	{"Clear", func(ctx context.Context, v *cache.Typed[string]) error {
		c, ok := cache.As[cache.Clearer](v.Cache())
		if !ok {
			return v.Remove(ctx, "k")
		}
		return c.Clear(ctx)
	}, false},
}

func everyWrite(t *testing.T, test func(t *testing.T, v *cache.Typed[string], invalidate func(), found bool)) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		for _, w := range writes {
			v := typed[string](t, c, nil)
			if err := v.Remove(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			test(t, v, func() {
				if err := w.do(t.Context(), v); err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
			}, w.found)
		}
	})
}

func TestWriteDuringALoadSendsItsCallersBack(t *testing.T) {
	everyWrite(t, func(t *testing.T, v *cache.Typed[string], invalidate func(), found bool) {
		h := newHeld()
		waiting := start(t.Context(), v, func(ctx context.Context, e *cache.Entry) (string, error) {
			if h.calls.Load() > 0 {
				return "new", nil
			}
			return h.load("old")(ctx, e)
		})
		synctest.Wait()
		invalidate()
		<-waiting.done
		if waiting.err != nil || waiting.value != "new" && !(found && waiting.value == "set") {
			t.Errorf("got %q, %v; want a value from after the write", waiting.value, waiting.err)
		}
		synctest.Wait()
		if cause := h.cause.Load(); cause != cache.ErrInvalidated {
			t.Errorf("the load's context ended with %v, want ErrInvalidated", cause)
		}
	})
}

// A loader that pays no heed to its context returns what it read before the
// write: nobody may find that in the cache, or be handed it after the write.
func TestOldLoadIsNeitherStoredNorJoined(t *testing.T) {
	everyWrite(t, func(t *testing.T, v *cache.Typed[string], invalidate func(), found bool) {
		release, returned := make(chan struct{}), make(chan struct{})
		var loads atomic.Int32
		old := start(t.Context(), v, func(context.Context, *cache.Entry) (string, error) {
			if loads.Add(1) > 1 {
				return "new", nil
			}
			defer close(returned)
			<-release
			return "old", nil
		})
		synctest.Wait()
		invalidate()
		synctest.Wait() // the caller from before the write has started over
		want := "new"
		if found {
			want = "set"
		}
		late, err := v.GetOrCreateExclusive(t.Context(), "k", load("new"))
		if late != want || err != nil {
			t.Errorf("a caller after the write: got %q, %v; want %q", late, err, want)
		}
		close(release)
		<-returned
		synctest.Wait()
		<-old.done // it ran alongside the write: old is all it may not get
		if old.err != nil || old.value == "old" {
			t.Errorf("the caller from before the write: got %q, %v", old.value, old.err)
		}
		if got, _, err := v.Get(t.Context(), "k"); got != want || err != nil {
			t.Errorf("in the cache afterwards: got %q, %v; want %q", got, err, want)
		}
	})
}

// Without this a key that is written more often than it can be loaded would
// keep its readers waiting for ever.
func TestReaderOfABusyKeyIsServedInTheEnd(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var writer sync.WaitGroup
		writer.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
				if err := v.Remove(t.Context(), "k"); err != nil {
					t.Error(err)
				}
			}
		})
		reader := start(t.Context(), v, func(ctx context.Context, _ *cache.Entry) (string, error) {
			select {
			case <-time.After(time.Second):
				return "v", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		reader.want(t, "v", nil)
		cancel()
		writer.Wait()
		if _, found, _ := v.Get(t.Context(), "k"); found {
			t.Error("a value loaded before the last write was stored")
		}
	})
}

func TestLoaderMayWriteItsOwnKey(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		got, err := v.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (string, error) {
			return "v", v.Remove(t.Context(), "k")
		})
		if got != "v" || err != nil {
			t.Errorf("got %q, %v; want the value", got, err)
		}
		if _, found, _ := v.Get(t.Context(), "k"); found {
			t.Error("the result of a load that removed its key was stored")
		}
	})
}
