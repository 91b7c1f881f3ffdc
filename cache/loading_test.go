package cache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

func TestLoading(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		loads := 0
		products := cache.NewLoading(c, func(_ context.Context, id int64, _ *cache.Entry) (product, error) {
			loads++
			if id < 0 {
				return product{}, cache.ErrNotFound
			}
			return product{fmt.Sprint("p", id), int(id)}, nil
		}, nil)
		t.Cleanup(func() { _ = products.Close(context.Background()) })
		for range 2 {
			for id := range int64(3) {
				got, err := products.Get(t.Context(), id)
				if want := (product{fmt.Sprint("p", id), int(id)}); got != want || err != nil {
					t.Errorf("%d: got %v, %v; want %v", id, got, err, want)
				}
			}
		}
		if loads != 3 {
			t.Errorf("got %d loads, want 3", loads)
		}
		rows, err := products.GetMany(t.Context(), []int64{1, -1, 5, 1})
		if err != nil || len(rows) != 2 || rows[5].Name != "p5" {
			t.Errorf("GetMany: got %v, %v", rows, err)
		}
		if err := products.Set(t.Context(), 1, product{"changed", 1}, cache.EntryOptions{}); err != nil {
			t.Error(err)
		}
		if got, _ := products.Get(t.Context(), 1); got.Name != "changed" {
			t.Errorf("after Set: got %v", got)
		}
		if err := products.Remove(t.Context(), 1); err != nil {
			t.Error(err)
		}
		if got, _ := products.Get(t.Context(), 1); got.Name != "p1" {
			t.Errorf("after Remove: got %v", got)
		}
		if _, err := products.Get(t.Context(), -1); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
		var none context.Context
		if _, err := products.Get(none, 1); !errors.Is(err, cache.ErrNilContext) {
			t.Errorf("nil context: got %v, want ErrNilContext", err)
		}
	})
}

// A key in a borrowed buffer must not end up in the cache or in an error.
func TestLoadingDoesNotLeakItsKeyBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		texts := cache.NewLoading(c, func(_ context.Context, id string, _ *cache.Entry) (string, error) {
			return "value of " + id, nil
		}, &cache.LoadingOptions[string, string]{AppendKey: func(dst []byte, id string) []byte { return append(dst, id...) }})
		for round := range 3 {
			for i := range 100 {
				id := fmt.Sprint("id", i)
				if got, err := texts.Get(t.Context(), id); got != "value of "+id || err != nil {
					t.Fatalf("round %d: got %q, %v; want the value of %s", round, got, err, id)
				}
			}
		}
		if n := c.Stats().Loads; n != 100 {
			t.Errorf("got %d loads, want 100", n)
		}
		long := make([]byte, cache.MaxKeyLength+1)
		_, err := texts.Get(t.Context(), string(long))
		if !errors.Is(err, cache.ErrKeyTooLong) {
			t.Errorf("long key: got %v, want ErrKeyTooLong", err)
		}
	})
}

func TestLoadingOfManyAtOnce(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		s := newSource(10)
		rows := cache.NewLoading(c, func(ctx context.Context, id int, e *cache.Entry) (string, error) {
			found, err := s.load(ctx, []int{id}, e)
			return found[id], err
		}, &cache.LoadingOptions[int, string]{LoadMany: s.load})
		t.Cleanup(func() { _ = rows.Close(context.Background()) })
		if got, err := rows.Get(t.Context(), 1); got != "v1" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		got, err := rows.GetMany(t.Context(), []int{1, 2, 3})
		wantRows(t, got, err, 1, 2, 3)
		s.wantAsked(t, []int{1}, []int{2, 3})
	})
}

func TestLoadingConfigurationErrors(t *testing.T) {
	find := func(context.Context, int, *cache.Entry) (string, error) { return "", nil }
	if _, err := cache.NewLoading(nil, find, nil).Get(t.Context(), 1); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("nil cache: got %v, want ErrInvalidConfig", err)
	}
	everyKind(t, func(t *testing.T, c cache.Cache) {
		transactional := &cache.LoadingOptions[int, string]{Transactional: true}
		for _, ctx := range []context.Context{t.Context(), cache.InTransaction(t.Context())} {
			if _, err := cache.NewLoading(c, nil, transactional).Get(ctx, 1); !errors.Is(err, cache.ErrNilLoader) {
				t.Errorf("nil loader: got %v, want ErrNilLoader", err)
			}
		}
		unnamed := func(context.Context, int, *cache.Entry) (struct{ A int }, error) { return struct{ A int }{}, nil }
		nameless := cache.NewLoading(c, unnamed, nil)
		if _, err := nameless.Get(t.Context(), 1); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("a type without a name: got %v, want ErrInvalidConfig", err)
		}
		if err := nameless.Set(t.Context(), 1, struct{ A int }{}, cache.EntryOptions{}); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("Set: got %v, want ErrInvalidConfig", err)
		}
	})
}

func TestLoadingByIDsOfManyParts(t *testing.T) {
	c := newFour()
	type point struct{ X, Y int }
	grid := cache.NewLoading(c, func(_ context.Context, p point, _ *cache.Entry) (string, error) {
		return fmt.Sprint(p.X, ",", p.Y), nil
	}, nil)
	t.Cleanup(func() { _ = grid.Close(context.Background()) })
	for _, p := range []point{{1, 2}, {2, 1}, {1, 2}} {
		if got, err := grid.Get(t.Context(), p); got != fmt.Sprint(p.X, ",", p.Y) || err != nil {
			t.Errorf("%v: got %q, %v", p, got, err)
		}
	}
}

// A value that ages is a hit while it is fresh, and is refreshed once when it is
// stale.
func TestLoadingOfValuesThatAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := openMemory(t)
		loads := 0
		count := func(context.Context, int, *cache.Entry) (string, error) {
			loads++
			return fmt.Sprint("v", loads), nil
		}
		opts := &cache.LoadingOptions[int, string]{}
		opts.Defaults.TTL, opts.SoftTTL = time.Hour, time.Minute
		l := cache.NewLoading(c, count, opts)
		want := func(want string) {
			t.Helper()
			if got, err := l.Get(t.Context(), 1); got != want || err != nil {
				t.Errorf("got %q, %v; want %s", got, err, want)
			}
			synctest.Wait()
		}
		want("v1")
		want("v1")
		time.Sleep(time.Minute)
		want("v1") // stale, and refreshed
		want("v2")
		want("v2")
		if loads != 2 {
			t.Errorf("got %d loads, want 2", loads)
		}
	})
}

func TestLoadingWhileCachingIsOff(t *testing.T) {
	c := openMemory(t)
	loads := 0
	l := cache.NewLoading(c, func(context.Context, int, *cache.Entry) (int, error) {
		loads++
		return loads, nil
	}, nil)
	want := func(ctx context.Context, want int) {
		t.Helper()
		if got, err := l.Get(ctx, 1); got != want || err != nil {
			t.Errorf("got %d, %v; want %d", got, err, want)
		}
	}
	want(t.Context(), 1)
	want(t.Context(), 1)
	want(cache.Disabled(t.Context()), 2)
	if err := cache.SetEnabled(c, false); err != nil {
		t.Fatal(err)
	}
	want(t.Context(), 3)
	if err := cache.SetEnabled(c, true); err != nil {
		t.Fatal(err)
	}
	want(t.Context(), 1)
}

// In a transaction the source is asked, and what it shows there is nobody else's,
// unless the Loading knows nothing of transactions.
func TestLoadingInTransaction(t *testing.T) {
	type seenKey struct{}
	everyKind(t, func(t *testing.T, c cache.Cache) {
		find := func(ctx context.Context, id int, e *cache.Entry) (string, error) {
			e.At(0).TTL = -1 // is not heeded
			v, ok := ctx.Value(seenKey{}).(string)
			if !ok {
				return "", cache.ErrNotFound
			}
			return fmt.Sprint(v, id), nil
		}
		findMany := func(ctx context.Context, ids []int, e *cache.Entry) (map[int]string, error) {
			found := map[int]string{}
			for i, id := range ids {
				if v, err := find(ctx, id, e.At(i)); err == nil {
					found[id] = v
				}
			}
			return found, nil
		}
		opts := &cache.LoadingOptions[int, string]{Transactional: true, LoadMany: findMany}
		byOne := *opts
		byOne.LoadMany = nil
		heedless := cache.LoadingOptions[int, string]{}
		all := make([]*cache.Loading[int, string], 3)
		for i, opts := range []*cache.LoadingOptions[int, string]{opts, &byOne, &heedless} {
			all[i] = cache.NewLoading(c, find, opts)
			t.Cleanup(func() { _ = all[i].Close(context.Background()) })
		}
		if err := all[0].Set(t.Context(), 1, "old1", cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		within := context.WithValue(t.Context(), seenKey{}, "new")
		for _, ctx := range []context.Context{
			cache.InTransaction(within), cache.Disabled(cache.InTransaction(within)), cache.InTransaction(cache.Disabled(within)),
		} {
			for _, l := range all[:2] {
				if got, err := l.Get(ctx, 1); got != "new1" || err != nil {
					t.Errorf("got %q, %v; want new1", got, err)
				}
				if got, err := l.GetMany(ctx, []int{1, 2}); err != nil || len(got) != 2 || got[1] != "new1" || got[2] != "new2" {
					t.Errorf("GetMany: got %v, %v; want new1, new2", got, err)
				}
			}
		}
		if got, err := all[2].Get(cache.InTransaction(within), 1); got != "old1" || err != nil {
			t.Errorf("not transactional: got %q, %v; want old1", got, err)
		}
		for _, l := range all {
			if got, err := l.Get(t.Context(), 1); got != "old1" || err != nil {
				t.Errorf("after the transaction: got %q, %v; want old1", got, err)
			}
			if got, err := l.Get(t.Context(), 2); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("after the transaction: got %q, %v; want ErrNotFound", got, err)
			}
		}
	})
}
