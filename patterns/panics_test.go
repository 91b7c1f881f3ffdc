package patterns_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// A hook's panic, and that of who is told of it, neither fail a committed write nor
// keep the cache and the other hooks from being told.
func TestOnPanicMayPanic(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{1: apple})
		told := 0
		below := must(patterns.NewHooked(repository(s), patterns.Hooks[int, product]{
			OnSaved: func(context.Context, int, product) { panic("a hook") },
			OnPanic: func(context.Context, any) { told++; panic("who is told") },
		}))
		w := must(patterns.NewWriteThrough(c, repository(below), entity, nil))
		wantFind(t, w, 1, apple)
		err := w.Transact(t.Context(), func(ctx context.Context) error {
			return errors.Join(w.Save(ctx, 1, leek), w.Save(ctx, 2, pear))
		})
		if err != nil || told != 2 {
			t.Errorf("got %v, and %d panics told; want a committed write and 2", err, told)
		}
		wantLoads(t, s, 0, func() {
			wantFind(t, w, 1, leek)
			wantFind(t, w, 2, pear)
		})
	})
}

func TestScheduleOutlivesItsOnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runs, told := 0, 0
		s := must(patterns.NewSchedule(time.Minute, func(context.Context) error {
			runs++
			return errSource
		}, func(error) { told++; panic("who is told") }))
		time.Sleep(150 * time.Second)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if runs != 3 || told != 3 {
			t.Errorf("ran %d times and told %d errors, want 3 and 3", runs, told)
		}
	})
}

func TestWarmOutlivesItsCallbacks(t *testing.T) {
	fails := patterns.Funcs[int, product]{FindFunc: func(_ context.Context, id int) (product, error) {
		if id%2 == 0 {
			return product{}, errSource
		}
		return apple, nil
	}}
	a := must(patterns.NewCacheAside(openMemory(t), patterns.Repository[int, product](fails), patterns.Entity[int, product]{}))
	told, reports := 0, 0
	got, err := patterns.Warm(t.Context(), a, slices.Values([]int{1, 2, 3, 4, 5}), patterns.WarmOptions[int]{
		Batch:    2,
		OnError:  func(int, error) { told++; panic("OnError") },
		Progress: func(patterns.WarmProgress) { reports++; panic("Progress") },
	})
	if want := (patterns.WarmProgress{Done: 5, Found: 3, Failed: 2}); err != nil || got != want || told != 2 || reports != 3 {
		t.Errorf("got %v, %v with %d errors told in %d reports; want %v with 2 in 3", got, err, told, reports, want)
	}
}
