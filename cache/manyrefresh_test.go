package cache_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// rows is an origin of many: values tell id and load.
type rows struct {
	took time.Duration

	mu    sync.Mutex
	asked [][]int
	fail  error
}

func (r *rows) load(ctx context.Context, ids []int, _ *cache.Entry) (map[int]string, error) {
	r.mu.Lock()
	r.asked = append(r.asked, slices.Sorted(slices.Values(ids)))
	n, fail := len(r.asked), r.fail
	r.mu.Unlock()
	select {
	case <-time.After(r.took):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found := map[int]string{}
	for _, id := range ids {
		found[id] = fmt.Sprintf("%d of load %d", id, n)
	}
	return found, fail
}

func (r *rows) ask(t *testing.T, v *cache.Typed[string], what string, ids []int, want map[int]string, wantErr error, wantAfter time.Duration) {
	t.Helper()
	start := time.Now()
	got, err := cache.GetOrCreateMany(t.Context(), v, ids, func(id int) string { return fmt.Sprint("k", id) }, r.load)
	if !maps.Equal(got, want) || !errors.Is(err, wantErr) {
		t.Errorf("%s: got %v, %v; want %v, %v", what, got, err, want, wantErr)
	}
	if took := time.Since(start); took != wantAfter {
		t.Errorf("%s: it took %v, want %v", what, took, wantAfter)
	}
}

func (r *rows) wantAsked(t *testing.T, what string, want ...[]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if fmt.Sprint(r.asked) != fmt.Sprint(want) {
		t.Errorf("%s: asked for %v, want %v", what, r.asked, want)
	}
}

func TestManyStale(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		r := &rows{took: time.Second}
		first := map[int]string{1: "1 of load 1", 2: "2 of load 1"}
		r.ask(t, v, "misses", []int{1, 2}, first, nil, time.Second)
		stored := time.Now()
		after(stored, 10*time.Second-time.Millisecond)
		r.ask(t, v, "fresh", []int{1, 2}, first, nil, 0)
		after(stored, 10*time.Second)
		r.ask(t, v, "stale", []int{1, 2}, first, nil, 0)
		synctest.Wait()
		r.ask(t, v, "one more, while they are refreshed", []int{1, 2, 3}, map[int]string{1: "1 of load 1", 2: "2 of load 1", 3: "3 of load 3"}, nil, time.Second)
		r.wantAsked(t, "in all", []int{1, 2}, []int{1, 2}, []int{3})
		synctest.Wait()
		r.ask(t, v, "refreshed", []int{1, 2}, map[int]string{1: "1 of load 2", 2: "2 of load 2"}, nil, 0)
	})
}

func TestManyExpired(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{StaleIfError: time.Hour, RetryAfter: 5 * time.Second}))
		r := &rows{took: time.Second}
		first := map[int]string{1: "1 of load 1", 2: "2 of load 1"}
		r.ask(t, v, "misses", []int{1, 2}, first, nil, time.Second)
		stored := time.Now()
		r.fail = errDown
		after(stored, time.Minute)
		r.ask(t, v, "expired, and the load fails", []int{1, 2}, first, nil, time.Second)
		r.ask(t, v, "expired, and the load has failed", []int{1, 2}, first, nil, 0)
		r.ask(t, v, "and one more", []int{1, 2, 3}, first, errDown, time.Second)
		r.wantAsked(t, "so far", []int{1, 2}, []int{1, 2}, []int{3})
		after(stored, 70*time.Second)
		r.fail = nil
		third := map[int]string{1: "1 of load 4", 2: "2 of load 4"}
		r.ask(t, v, "the source is back", []int{1, 2}, third, nil, time.Second)
		r.ask(t, v, "and stored", []int{1, 2}, third, nil, 0)
	})
}

func TestManySoftTimeout(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{StaleIfError: time.Hour, SoftTimeout: 100 * time.Millisecond}))
		r := &rows{took: time.Second}
		first := map[int]string{1: "1 of load 1", 2: "2 of load 1"}
		r.ask(t, v, "misses", []int{1, 2}, first, nil, time.Second)
		after(time.Now(), time.Minute)
		r.ask(t, v, "expired", []int{1, 2}, first, nil, 100*time.Millisecond)
		after(time.Now(), time.Second)
		r.ask(t, v, "refreshed", []int{1, 2}, map[int]string{1: "1 of load 2", 2: "2 of load 2"}, nil, 0)
	})
}

// A batch of refreshes stores nothing for the id that was invalidated meanwhile.
func TestManyInvalidatedDuringARefresh(t *testing.T) {
	eachShared(t, func(t *testing.T, open func() cache.Cache) {
		f := cache.Freshness{SoftTTL: 10 * time.Second}
		here, there := typed(t, open(), aging(f)), typed(t, open(), aging(f))
		r := &rows{took: time.Second}
		first := map[int]string{1: "1 of load 1", 2: "2 of load 1"}
		r.ask(t, here, "misses", []int{1, 2}, first, nil, time.Second)
		after(time.Now(), 10*time.Second)
		r.ask(t, here, "stale", []int{1, 2}, first, nil, 0)
		synctest.Wait()
		if err := there.Remove(t.Context(), "k1"); err != nil {
			t.Fatal(err)
		}
		after(time.Now(), 2*time.Second)
		if got, found, err := here.Get(t.Context(), "k1"); found || err != nil {
			t.Errorf("removed: got %q, %v", got, err)
		}
		if got, found, err := here.Get(t.Context(), "k2"); got != "2 of load 2" || !found || err != nil {
			t.Errorf("not removed: got %q, %v, %v", got, found, err)
		}
	})
}

// A loader of many may keep them all.
func TestManyNotModified(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		loads := 0
		load := func(_ context.Context, ids []int, e *cache.Entry) (map[int]string, error) {
			loads++
			if loads == 1 {
				e.At(0).ETag = "tag"
				return map[int]string{1: "one"}, nil
			}
			if old, ok := cache.Previous[string](e.At(0)); old != "one" || !ok || e.At(0).PreviousETag() != "tag" {
				t.Errorf("before: got %q, %v, %q", old, ok, e.At(0).PreviousETag())
			}
			return nil, cache.ErrNotModified
		}
		for n := 1; n <= 3; n++ {
			got, err := cache.GetOrCreateMany(t.Context(), v, []int{1}, func(int) string { return "k" }, load)
			if got[1] != "one" || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
			synctest.Wait()
			if loads != n {
				t.Errorf("got %d loads, want %d", loads, n)
			}
			after(time.Now(), 10*time.Second)
		}
	})
}

func TestLoadingAges(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		loads := 0
		l := cache.NewLoading(c, func(_ context.Context, id int, _ *cache.Entry) (string, error) {
			loads++
			return fmt.Sprint(id, " of load ", loads), nil
		}, &cache.LoadingOptions[int, string]{TypedOptions: *aging(cache.Freshness{SoftTTL: 10 * time.Second})})
		t.Cleanup(func() { _ = l.Close(context.Background()) })
		for _, want := range []string{"7 of load 1", "7 of load 1", "7 of load 2"} {
			if got, err := l.Get(t.Context(), 7); got != want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			after(time.Now(), 10*time.Second)
		}
	})
}
