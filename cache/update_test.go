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
	"github.com/larder-go/larder/cache/cachetest"
)

// However many update one number, by whatever model they agree on, nothing is
// lost.
func TestUpdatesLoseNothing(t *testing.T) {
	const callers, times = 12, 20
	models := map[string]func(v *cache.Typed[int]) (int, error){
		"optimistic": func(v *cache.Typed[int]) (int, error) {
			return v.Update(context.Background(), "n", func(n int, _ bool) (int, error) { return n + 1, nil },
				cache.UpdateOptions{Attempts: 10_000})
		},
		"pessimistic": func(v *cache.Typed[int]) (int, error) {
			return v.UpdateLocked(context.Background(), "n", func(_ context.Context, n int, _ bool, _ uint64) (int, error) { return n + 1, nil },
				cache.UpdateOptions{LockTTL: time.Minute})
		},
	}
	for name, update := range models {
		t.Run(name, func(t *testing.T) {
			onVersioned(t, func(t *testing.T, c cache.Cache) {
				v := typed[int](t, c, nil)
				var wg sync.WaitGroup
				var sum atomic.Int64
				for range callers {
					wg.Go(func() {
						for range times {
							n, err := update(v)
							if err != nil {
								t.Error(err)
								return
							}
							sum.Add(int64(n))
						}
					})
				}
				wg.Wait()
				const all = callers * times
				if n, _, err := v.Get(t.Context(), "n"); n != all || err != nil {
					t.Errorf("got %d, %v, want %d", n, err, all)
				}
				if want := int64(all * (all + 1) / 2); sum.Load() != want {
					t.Errorf("the results add up to %d, want %d: each number once", sum.Load(), want)
				}
			})
		})
	}
}

func TestUpdateBadInput(t *testing.T) {
	v := typed[int](t, openMemory(t), nil)
	same := func(n int, _ bool) (int, error) { return n, nil }
	_, err := v.Update(t.Context(), "n", nil, cache.UpdateOptions{})
	wantErr(t, err, cache.ErrInvalidConfig)
	_, err = v.Update(t.Context(), "n", same, cache.UpdateOptions{Attempts: -1})
	wantErr(t, err, cache.ErrInvalidConfig)
	_, err = v.UpdateLocked(t.Context(), "n", nil, cache.UpdateOptions{LockTTL: -1})
	wantErr(t, err, cache.ErrInvalidConfig)
	wantErr(t, err, cache.ErrInvalidTTL)
	_, err = v.Update(t.Context(), "n", same, cache.UpdateOptions{Entry: cache.EntryOptions{TTL: -1}})
	wantErr(t, err, cache.ErrInvalidTTL)
	_, err = v.Update(t.Context(), "", same, cache.UpdateOptions{})
	wantErr(t, err, cache.ErrInvalidKey)
	if _, found, err := v.Get(t.Context(), "n"); found || err != nil {
		t.Errorf("got %v, %v, want nothing stored", found, err)
	}
}

func TestUpdateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed[int](t, openMemory(t), nil)
		calls := 0
		disturbed := func(n int, _ bool) (int, error) {
			calls++
			return n + 1, v.Set(t.Context(), "n", 100*calls, cache.EntryOptions{})
		}
		_, err := v.Update(t.Context(), "n", disturbed, cache.UpdateOptions{Attempts: 3})
		wantErr(t, err, cache.ErrVersionMismatch)
		if n, _, _ := v.Get(t.Context(), "n"); calls != 3 || n != 300 {
			t.Errorf("%d calls, got %d", calls, n)
		}
		removed := func(n int, _ bool) (int, error) { return n, v.Remove(t.Context(), "n") }
		if _, err = v.Update(t.Context(), "n", removed, cache.UpdateOptions{Attempts: 1}); !errors.Is(err, cache.ErrVersionMismatch) || !errors.Is(err, cache.ErrNoEntry) {
			t.Errorf("got %v, want a mismatch because there is no entry", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = v.Update(ctx, "n", disturbed, cache.UpdateOptions{Attempts: 1 << 20})
		wantErr(t, err, context.DeadlineExceeded)
		if waited := time.Since(start); waited != time.Second || calls < 20 || calls > 2000 {
			t.Errorf("%d calls in %v, want some, until the deadline", calls, waited)
		}
	})
}

func TestUpdateEndsByItsFunctionsError(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		v := typed[int](t, c, nil)
		wantErr(t, v.Set(ctx, "n", 1, cache.EntryOptions{}), nil)
		mine := errors.New("mine")
		_, err := v.Update(ctx, "n", func(n int, found bool) (int, error) {
			if n != 1 || !found {
				t.Errorf("got %d, %v", n, found)
			}
			return 2, mine
		}, cache.UpdateOptions{})
		wantErr(t, err, mine)
		_, err = v.UpdateLocked(ctx, "n", func(context.Context, int, bool, uint64) (int, error) { return 2, mine }, cache.UpdateOptions{})
		wantErr(t, err, mine)
		item, _, err := v.GetItem(ctx, "n")
		if item.Value != 1 || item.Locked || err != nil {
			t.Errorf("got %+v, %v, want what was there, and no lock", item, err)
		}
	})
}

// A panic, or an end of the goroutine, gives the lock back.
func TestUpdateLockedUnlocksWhateverHappens(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		v := typed[int](t, c, nil)
		for name, end := range map[string]func(){"panic": func() { panic("mine") }, "goexit": runtime.Goexit} {
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				_, _ = v.UpdateLocked(context.Background(), "n", func(context.Context, int, bool, uint64) (int, error) {
					end()
					return 1, nil
				}, cache.UpdateOptions{})
			}()
			if got := <-done; (got == any("mine")) != (name == "panic") {
				t.Errorf("%s: recovered %v", name, got)
			}
			_, handle, err := v.GetAndLock(t.Context(), "n", time.Minute, cache.LockOptions{Force: true})
			wantErr(t, err, nil)
			wantErr(t, v.Unlock(t.Context(), "n", handle, 0), nil)
		}
	})
}

func TestUpdateLockedWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed[int](t, openMemory(t), nil)
		_, _, err := v.GetAndLock(t.Context(), "n", 5*time.Second, cache.LockOptions{Force: true})
		wantErr(t, err, nil)
		add := func(_ context.Context, n int, _ bool, _ uint64) (int, error) { return n + 1, nil }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err = v.UpdateLocked(ctx, "n", add, cache.UpdateOptions{})
		wantErr(t, err, context.DeadlineExceeded)
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v, want until the deadline", waited)
		}
		n, err := v.UpdateLocked(t.Context(), "n", add, cache.UpdateOptions{})
		if waited := time.Since(start); n != 1 || err != nil || waited < 5*time.Second || waited > 5*time.Second+64*time.Millisecond {
			t.Errorf("got %d, %v after %v, want 1 soon after the lock ran out", n, err, waited)
		}
	})
}

// Who holds a lock for too long is told, and stores nothing.
func TestUpdateLockedThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed[int](t, openMemory(t), nil)
		var first, second uint64
		_, err := v.UpdateLocked(t.Context(), "n", func(ctx context.Context, _ int, _ bool, fence uint64) (int, error) {
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, cache.ErrNotLocked) {
				t.Errorf("the context ended because of %v", cause)
			}
			first = fence
			_, err := v.UpdateLocked(t.Context(), "n", func(_ context.Context, _ int, _ bool, fence uint64) (int, error) {
				second = fence
				return 7, nil
			}, cache.UpdateOptions{})
			return 1, err
		}, cache.UpdateOptions{LockTTL: 2 * time.Second})
		wantErr(t, err, cache.ErrNotLocked)
		if n, _, _ := v.Get(t.Context(), "n"); n != 7 || first == 0 || second <= first {
			t.Errorf("got %d, tokens %d and %d", n, first, second)
		}
	})
}

// A reply that was lost is no update that was lost.
func TestUpdateWhoseReplyIsLost(t *testing.T) {
	lost := func(ops ...string) cachetest.Fault {
		return cachetest.Fault{Kind: cachetest.FailAfter, Ops: ops, Nth: 1}
	}
	never := func(ops ...string) cachetest.Fault {
		return cachetest.Fault{Kind: cachetest.FailBefore, Ops: ops, Nth: 1, Err: cache.ErrOutcomeUnknown}
	}
	cas := []string{"compare_and_set", "compare_and_set_object"}
	add := []string{"add", "add_object"}
	put := []string{"put_and_unlock", "put_object_and_unlock"}
	read := []string{"get_item", "get_object_item"}
	for name, tc := range map[string]struct {
		there  bool
		locks  bool
		faults []cachetest.Fault
		want   error
		n      int // what is there afterwards
	}{
		"done":                       {true, false, []cachetest.Fault{lost(cas...)}, nil, 2},
		"not done":                   {true, false, []cachetest.Fault{never(cas...)}, nil, 2},
		"added":                      {false, false, []cachetest.Fault{lost(add...)}, nil, 1},
		"not added, or not yet":      {false, false, []cachetest.Fault{never(add...)}, cache.ErrOutcomeUnknown, 0},
		"locked, done":               {true, true, []cachetest.Fault{lost(put...)}, nil, 2},
		"locked, not done":           {true, true, []cachetest.Fault{never(put...)}, cache.ErrUnavailable, 1},
		"forced, done":               {false, true, []cachetest.Fault{lost(put...)}, nil, 1},
		"lock never granted":         {true, true, []cachetest.Fault{never("get_and_lock", "get_object_and_lock")}, nil, 2},
		"done, then cannot be read":  {true, false, []cachetest.Fault{lost(cas...), {Kind: cachetest.FailBefore, Ops: read, Nth: 2}}, cache.ErrOutcomeUnknown, 2},
		"locked, nothing can be had": {true, true, []cachetest.Fault{lost(put...), {Kind: cachetest.FailBefore, Ops: []string{"unlock"}}, {Kind: cachetest.FailBefore, Ops: read}}, cache.ErrOutcomeUnknown, 2},
	} {
		t.Run(name, func(t *testing.T) {
			onVersioned(t, func(t *testing.T, c cache.Cache) {
				ctx := t.Context()
				direct := typed[int](t, c, nil)
				if tc.there {
					wantErr(t, direct.Set(ctx, "n", 1, cache.EntryOptions{}), nil)
				}
				_, faulty := cachetest.NewFaults(c, 1, tc.faults...)
				v := typed[int](t, faulty, nil)
				var n int
				var err error
				if tc.locks {
					n, err = v.UpdateLocked(ctx, "n", func(_ context.Context, n int, _ bool, _ uint64) (int, error) { return n + 1, nil }, cache.UpdateOptions{})
				} else {
					n, err = v.Update(ctx, "n", func(n int, _ bool) (int, error) { return n + 1, nil }, cache.UpdateOptions{})
				}
				if !errors.Is(err, tc.want) || err == nil && n != tc.n {
					t.Errorf("got %d, %v, want %v", n, err, tc.want)
				}
				if is, _, err := direct.Get(ctx, "n"); is != tc.n || err != nil {
					t.Errorf("%d is there, %v, want %d", is, err, tc.n)
				}
			})
		})
	}
}

// If somebody else has written since, nobody can tell any more.
func TestUpdateWhoseOutcomeIsOverwritten(t *testing.T) {
	onVersioned(t, func(t *testing.T, c cache.Cache) {
		ctx := t.Context()
		direct := typed[int](t, c, nil)
		wantErr(t, direct.Set(ctx, "n", 1, cache.EntryOptions{}), nil)
		gate := cachetest.NewGate()
		_, faulty := cachetest.NewFaults(c, 1,
			cachetest.Fault{Kind: cachetest.FailAfter, Ops: []string{"compare_and_set", "compare_and_set_object"}, Nth: 1},
			cachetest.Fault{Kind: cachetest.HoldBefore, Ops: []string{"get_item", "get_object_item"}, Nth: 2, Gate: gate})
		v := typed[int](t, faulty, nil)
		done := make(chan error)
		go func() {
			_, err := v.Update(ctx, "n", func(n int, _ bool) (int, error) { return n + 1, nil }, cache.UpdateOptions{})
			done <- err
		}()
		wantErr(t, gate.Wait(ctx, 1), nil)
		wantErr(t, direct.Set(ctx, "n", 50, cache.EntryOptions{}), nil)
		gate.Open()
		wantErr(t, <-done, cache.ErrOutcomeUnknown)
		if n, _, _ := direct.Get(ctx, "n"); n != 50 {
			t.Errorf("got %d, want 50", n)
		}
	})
}
