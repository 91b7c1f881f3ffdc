package cache_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

func idKey(id int) string { return "id-" + strconv.Itoa(id) }

// source is a table that notes what is asked of it.
type source struct {
	mu    sync.Mutex
	rows  map[int]string
	asked [][]int
}

func newSource(n int) *source {
	s := &source{rows: map[int]string{}}
	for id := range n {
		s.rows[id] = "v" + strconv.Itoa(id)
	}
	return s
}

func (s *source) load(_ context.Context, ids []int, _ *cache.Entry) (map[int]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, slices.Clone(ids))
	rows := map[int]string{}
	for _, id := range ids {
		if v, ok := s.rows[id]; ok {
			rows[id] = v
		}
	}
	return rows, nil
}

func wantRows(t *testing.T, got map[int]string, err error, ids ...int) {
	t.Helper()
	want := map[int]string{}
	for _, id := range ids {
		want[id] = "v" + strconv.Itoa(id)
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func (s *source) wantAsked(t *testing.T, want ...[]int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.EqualFunc(s.asked, want, slices.Equal) {
		t.Errorf("the source was asked for %v, want %v", s.asked, want)
	}
}

func TestManyLoadsOnlyWhatIsMissing(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v, s := typed[string](t, c, nil), newSource(10)
		got, err := cache.GetOrCreateMany(t.Context(), v, []int{1, 2, 1}, idKey, s.load)
		wantRows(t, got, err, 1, 2)
		got, err = cache.GetOrCreateMany(t.Context(), v, []int{3, 2, 1, 3}, idKey, s.load)
		wantRows(t, got, err, 1, 2, 3)
		got, err = cache.GetOrCreateMany(t.Context(), v, []int{1, 2, 3}, idKey, s.load)
		wantRows(t, got, err, 1, 2, 3)
		got, err = cache.GetOrCreateMany(t.Context(), v, nil, idKey, s.load)
		wantRows(t, got, err)
		s.wantAsked(t, []int{1, 2}, []int{3})
	})
}

func TestManyNegativeEntriesAndExtras(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v, s := typed(t, c, &cache.TypedOptions[string]{NegativeTTL: time.Minute}), newSource(10)
		generous := func(ctx context.Context, ids []int, e *cache.Entry) (map[int]string, error) {
			rows, err := s.load(ctx, ids, e)
			rows[5] = "v5"
			return rows, err
		}
		for range 2 {
			got, err := cache.GetOrCreateMany(t.Context(), v, []int{1, 99}, idKey, generous)
			wantRows(t, got, err, 1)
		}
		s.wantAsked(t, []int{1, 99})
		if _, found, _ := v.Get(t.Context(), idKey(5)); found {
			t.Error("a row that nobody asked for was stored")
		}
		nothing := func(context.Context, []int, *cache.Entry) (map[int]string, error) { return nil, nil }
		got, err := cache.GetOrCreateMany(t.Context(), v, []int{7}, idKey, nothing)
		wantRows(t, got, err)
		if _, _, err := v.Get(t.Context(), idKey(7)); !errors.Is(err, cache.ErrNotFound) {
			t.Errorf("an id that the source does not have: got %v, want ErrNotFound", err)
		}
	})
}

func TestManySharesLoadsWithOthers(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v, s := typed[string](t, c, nil), newSource(10)
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // one key by itself
			got, err := v.GetOrCreateExclusive(t.Context(), idKey(1), func(context.Context, *cache.Entry) (string, error) {
				<-release
				return "v1", nil
			})
			if got != "v1" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		})
		synctest.Wait()
		slow := func(ctx context.Context, ids []int, e *cache.Entry) (map[int]string, error) {
			<-release
			return s.load(ctx, ids, e)
		}
		wg.Go(func() {
			got, err := cache.GetOrCreateMany(t.Context(), v, []int{1, 2, 3}, idKey, slow)
			wantRows(t, got, err, 1, 2, 3)
		})
		synctest.Wait()
		wg.Go(func() {
			got, err := cache.GetOrCreateMany(t.Context(), v, []int{2, 4}, idKey, slow)
			wantRows(t, got, err, 2, 4)
		})
		synctest.Wait()
		wg.Go(func() {
			got, err := v.GetOrCreateExclusive(t.Context(), idKey(3), load("not run"))
			if got != "v3" || err != nil {
				t.Errorf("joining a batch: got %q, %v; want v3", got, err)
			}
		})
		synctest.Wait()
		close(release)
		wg.Wait()
		slices.SortFunc(s.asked, func(a, b []int) int { return a[0] - b[0] })
		s.wantAsked(t, []int{2, 3}, []int{4})
	})
}

func TestManyErrorsAndPanics(t *testing.T) {
	boom := errors.New("boom")
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v, s := typed[string](t, c, nil), newSource(10)
		got, err := cache.GetOrCreateMany(t.Context(), v, []int{1}, idKey, s.load)
		wantRows(t, got, err, 1)
		_, err = cache.GetOrCreateMany(t.Context(), v, []int{1, 2}, idKey, func(context.Context, []int, *cache.Entry) (map[int]string, error) {
			return map[int]string{2: "v2"}, boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("got %v, want boom", err)
		}
		_, err = cache.GetOrCreateMany(t.Context(), v, []int{2}, idKey, func(context.Context, []int, *cache.Entry) (map[int]string, error) {
			panic(boom)
		})
		if !errors.Is(err, cache.ErrLoaderPanic) || !errors.Is(err, boom) {
			t.Errorf("got %v, want ErrLoaderPanic of boom", err)
		}
		_, err = cache.GetOrCreateMany(t.Context(), v, []int{3}, idKey, func(ctx context.Context, _ []int, _ *cache.Entry) (map[int]string, error) {
			return cache.GetOrCreateMany(ctx, v, []int{4, 3}, idKey, s.load)
		})
		if !errors.Is(err, cache.ErrRecursiveLoad) {
			t.Errorf("got %v, want ErrRecursiveLoad", err)
		}
		synctest.Wait()
		got, err = cache.GetOrCreateMany(t.Context(), v, []int{1, 2, 3, 4}, idKey, s.load)
		wantRows(t, got, err, 1, 2, 3, 4)
		if _, err := cache.GetOrCreateMany[int](t.Context(), v, []int{1}, idKey, nil); !errors.Is(err, cache.ErrNilLoader) {
			t.Errorf("got %v, want ErrNilLoader", err)
		}
		if _, err := cache.GetOrCreateMany(nil, v, []int{1}, idKey, s.load); !errors.Is(err, cache.ErrNilContext) { //nolint:staticcheck // on purpose
			t.Errorf("got %v, want ErrNilContext", err)
		}
		empty := func(int) string { return "" }
		if _, err := cache.GetOrCreateMany(t.Context(), v, []int{1}, empty, s.load); !errors.Is(err, cache.ErrInvalidKey) {
			t.Errorf("got %v, want ErrInvalidKey", err)
		}
	})
}

func TestManyIsNotStaleAfterARemove(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			got, err := cache.GetOrCreateMany(t.Context(), v, []int{1, 2}, idKey, func(context.Context, []int, *cache.Entry) (map[int]string, error) {
				<-release
				return map[int]string{1: "v1", 2: "v2"}, nil
			})
			if err != nil || !maps.Equal(got, map[int]string{1: "new", 2: "v2"}) {
				t.Errorf("the caller from before the Remove: got %v, %v; want what is new", got, err)
			}
		})
		synctest.Wait()
		if err := v.Remove(t.Context(), idKey(1)); err != nil {
			t.Error(err)
		}
		if got, err := v.GetOrCreateExclusive(t.Context(), idKey(1), load("new")); got != "new" || err != nil {
			t.Errorf("after Remove: got %q, %v; want \"new\"", got, err)
		}
		close(release)
		wg.Wait()
		if got, _, _ := v.Get(t.Context(), idKey(1)); got != "new" {
			t.Errorf("the old load was stored: got %q, want \"new\"", got)
		}
		if got, _, _ := v.Get(t.Context(), idKey(2)); got != "v2" {
			t.Errorf("the key that was not removed: got %q, want \"v2\"", got)
		}
	})
}

func TestManyIsCancelledWhenNobodyWaits(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed[string](t, c, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var cause atomic.Value
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := cache.GetOrCreateMany(ctx, v, []int{1, 2}, idKey, func(ctx context.Context, _ []int, _ *cache.Entry) (map[int]string, error) {
				<-ctx.Done()
				cause.Store(context.Cause(ctx))
				return nil, ctx.Err()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want Canceled", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		synctest.Wait()
		if cause.Load() != cache.ErrAbandoned {
			t.Errorf("the load's context ended with %v, want ErrAbandoned", cause.Load())
		}
	})
}
