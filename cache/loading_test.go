package cache_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

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
	c := newFour()
	find := func(context.Context, int, *cache.Entry) (string, error) { return "", nil }
	unnamed := func(context.Context, int, *cache.Entry) (struct{ A int }, error) { return struct{ A int }{}, nil }
	if _, err := cache.NewLoading[int, string](c, nil, nil).Get(t.Context(), 1); !errors.Is(err, cache.ErrNilLoader) {
		t.Errorf("nil loader: got %v, want ErrNilLoader", err)
	}
	if _, err := cache.NewLoading(nil, find, nil).Get(t.Context(), 1); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("nil cache: got %v, want ErrInvalidConfig", err)
	}
	nameless := cache.NewLoading(c, unnamed, nil)
	if _, err := nameless.Get(t.Context(), 1); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("a type without a name: got %v, want ErrInvalidConfig", err)
	}
	if err := nameless.Set(t.Context(), 1, struct{ A int }{}, cache.EntryOptions{}); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("Set: got %v, want ErrInvalidConfig", err)
	}
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
