package patterns_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

func TestWarm(t *testing.T) {
	onCaches(t, func(t *testing.T, c cache.Cache) {
		s := newTable(map[int]product{})
		ids := make([]int, 0, 1000)
		for id := range 1000 {
			ids = append(ids, id)
			if id%10 != 0 {
				s.rows[id] = product{Name: "p"}
			}
		}
		a := must(patterns.NewCacheAside(c, repository(s), patterns.Entity[int, product]{}))
		last, reports := patterns.WarmProgress{}, 0
		got, err := patterns.Warm(t.Context(), a, slices.Values(ids), patterns.WarmOptions[int]{Batch: 50, Progress: func(p patterns.WarmProgress) {
			if p.Done <= last.Done {
				t.Errorf("%v came after %v", p, last)
			}
			last = p
			reports++
		}})
		want := patterns.WarmProgress{Done: 1000, Found: 900, Missing: 100}
		if err != nil || got != want || last != want || reports != 20 {
			t.Errorf("got %v, %v, and %v in %d reports, want %v in 20", got, err, last, reports, want)
		}
		wantLoads(t, s, 0, func() { wantFind(t, a, 999, product{Name: "p"}) })
	})
}

func TestWarmTellsWhichFailed(t *testing.T) {
	a := must(patterns.NewCacheAside(openMemory(t), patterns.Repository[int, product](patterns.Funcs[int, product]{
		FindFunc: func(_ context.Context, id int) (product, error) {
			if id%2 == 0 {
				return product{}, errSource
			}
			return product{}, nil
		}}), patterns.Entity[int, product]{}))
	var failed []int
	got, err := patterns.Warm(t.Context(), a, slices.Values([]int{1, 2, 3, 4, 4}), patterns.WarmOptions[int]{OnError: func(id int, err error) {
		if !errors.Is(err, errSource) {
			t.Errorf("got %v, want the source's error", err)
		}
		failed = append(failed, id)
	}})
	slices.Sort(failed)
	if want := (patterns.WarmProgress{Done: 5, Found: 2, Failed: 3}); err != nil || got != want || !slices.Equal(failed, []int{2, 4}) {
		t.Errorf("got %v, %v and failures %v, want %v and 2, 4", got, err, failed, want)
	}
	for _, opts := range []patterns.WarmOptions[int]{{Batch: -1}, {Concurrency: -1}} {
		if _, err := patterns.Warm(t.Context(), a, slices.Values([]int{1}), opts); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%v: got %v, want ErrInvalidConfig", opts, err)
		}
	}
}

func TestWarmIsBoundedAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		a := must(patterns.NewCacheAside(openMemory(t), patterns.Repository[int, product](patterns.Funcs[int, product]{
			FindFunc: func(ctx context.Context, id int) (product, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				time.Sleep(time.Second)
				return product{}, ctx.Err()
			}}), patterns.Entity[int, product]{}))
		ctx, cancel := context.WithTimeout(t.Context(), 10500*time.Millisecond)
		defer cancel()
		endless := func(yield func(int) bool) {
			for id := 0; yield(id); id++ {
			}
		}
		got, err := patterns.Warm(ctx, a, endless, patterns.WarmOptions[int]{Concurrency: 3, Batch: 1})
		if !errors.Is(err, context.DeadlineExceeded) || got.Done != 30 || got.Failed != 0 || most.Load() != 3 {
			t.Errorf("got %v, %v with %d at once, want 30 and 3", got, err, most.Load())
		}
		synctest.Wait()
	})
}

// No goroutine is left, or synctest.Test fails, and what was looked up stays.
func TestWarmOutlivesItsIDsByNothing(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic(errSource) }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTable(map[int]product{1: apple})
				a := must(patterns.NewCacheAside(openMemory(t), repository(s), entity))
				ended := make(chan any)
				go func() {
					defer func() { ended <- recover() }()
					_, _ = patterns.Warm(t.Context(), a, func(yield func(int) bool) {
						yield(1)
						end()
					}, patterns.WarmOptions[int]{Batch: 1})
				}()
				if p := <-ended; p != nil && p != errSource {
					t.Errorf("got the panic %v, want that of the ids", p)
				}
				wantLoads(t, s, 0, func() { wantFind(t, a, 1, apple) })
			})
		})
	}
}

func TestSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		var errs int
		start := time.Now()
		s, err := patterns.NewSchedule(time.Minute, func(ctx context.Context) error {
			at = append(at, time.Since(start))
			switch len(at) {
			case 1:
				return errSource
			case 2:
				panic("the task")
			case 3:
				<-ctx.Done()
			}
			return nil
		}, func(error) { errs++ })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(at) != 3 || errs != 2 || at[0] != 0 {
			t.Fatalf("ran at %v with %d errors, want three times and 2", at, errs)
		}
		for i, d := range []time.Duration{at[1] - at[0], at[2] - at[1]} {
			if d < 54*time.Second || d > 66*time.Second {
				t.Errorf("the wait %d was %v, want a minute and a tenth at most", i, d)
			}
		}
		if _, err := patterns.NewSchedule(0, func(context.Context) error { return nil }, nil); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("got %v, want ErrInvalidConfig", err)
		}
	})
}
