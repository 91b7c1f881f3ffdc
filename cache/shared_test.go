package cache_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// twoProcesses runs test with two caches that know each other through Redis
// only, as those of two processes do.
func twoProcesses(t *testing.T, test func(t *testing.T, here, there *cache.Typed[string])) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		open := func() *cache.Typed[string] {
			c, err := distributed.New(redistest.MiniClient(t, m), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeCache(t, c) })
			return cache.NewTyped[string](c, nil)
		}
		test(t, open(), open())
	})
}

func remove(t *testing.T, v *cache.Typed[string]) {
	t.Helper()
	if err := v.Remove(t.Context(), "k"); err != nil {
		t.Errorf("Remove: %v", err)
	}
}

// The claim itself: a load is under way here, the key is written there, and a
// caller comes here.
func TestCallerDoesNotJoinALoadOlderThanAWriteElsewhere(t *testing.T) {
	writes := map[string]func(ctx context.Context, v *cache.Typed[string]) error{
		"Remove": func(ctx context.Context, v *cache.Typed[string]) error { return v.Remove(ctx, "k") },
		"Set and Remove": func(ctx context.Context, v *cache.Typed[string]) error {
			return errors.Join(v.Set(ctx, "k", "passing", cache.EntryOptions{}), v.Remove(ctx, "k"))
		},
		"another load, and Remove": func(ctx context.Context, v *cache.Typed[string]) error {
			err := v.Remove(ctx, "k")
			_, loadErr := v.GetOrCreateExclusive(ctx, "k", load("passing"))
			return errors.Join(err, loadErr, v.Remove(ctx, "k"))
		},
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
				release := make(chan struct{})
				early := start(t.Context(), here, func(context.Context, *cache.Entry) (string, error) {
					<-release
					return "old", nil
				})
				synctest.Wait()
				if err := write(t.Context(), there); err != nil {
					t.Errorf("write: %v", err)
				}
				late, err := here.GetOrCreateExclusive(t.Context(), "k", load("new"))
				if late != "new" || err != nil {
					t.Errorf("a caller after the write: got %q, %v; want \"new\"", late, err)
				}
				close(release)
				<-early.done
				for _, v := range []*cache.Typed[string]{here, there} {
					if got, _, err := v.Get(t.Context(), "k"); got != "new" || err != nil {
						t.Errorf("in the cache afterwards: got %q, %v; want \"new\"", got, err)
					}
				}
				stats := here.Cache().(cache.StatsReporter).Stats()
				if stats.JoinsRefused == 0 || stats.FillsRefused == 0 {
					t.Errorf("got %d joins and %d fills refused, want some", stats.JoinsRefused, stats.FillsRefused)
				}
			})
		})
	}
}

func TestManyDoNotJoinALoadOlderThanAWriteElsewhere(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		key := func(id string) string { return id }
		release := make(chan struct{})
		loads := func(value string, wait bool) func(context.Context, []string, *cache.Entry) (map[string]string, error) {
			return func(_ context.Context, ids []string, _ *cache.Entry) (map[string]string, error) {
				if wait {
					<-release
				}
				rows := map[string]string{}
				for _, id := range ids {
					rows[id] = value
				}
				return rows, nil
			}
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := cache.GetOrCreateMany(t.Context(), here, []string{"k", "other"}, key, loads("old", true)); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		remove(t, there)
		rows, err := cache.GetOrCreateMany(t.Context(), here, []string{"k"}, key, loads("new", false))
		if rows["k"] != "new" || err != nil {
			t.Errorf("a caller after the write: got %v, %v; want what is new", rows, err)
		}
		close(release)
		<-done
		if got, _, _ := here.Get(t.Context(), "k"); got != "new" {
			t.Errorf("in the cache afterwards: got %q, want \"new\"", got)
		}
		if got, _, _ := here.Get(t.Context(), "other"); got != "old" {
			t.Errorf("the key that nobody wrote: got %q, want what was loaded", got)
		}
	})
}

func TestLateCallersJoinALoadThatIsStillInCharge(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, _ *cache.Typed[string]) {
		h := newHeld()
		var calls []*call
		for range 100 {
			calls = append(calls, start(t.Context(), here, h.load("v")))
			synctest.Wait()
		}
		close(h.release)
		for _, c := range calls {
			c.want(t, "v", nil)
		}
		if n := h.calls.Load(); n != 1 {
			t.Errorf("got %d loads, want 1", n)
		}
	})
}

func TestOtherProcessesFollowALoad(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		begin := time.Now()
		slow := func(context.Context, *cache.Entry) (string, error) {
			time.Sleep(20 * time.Second) // longer than a lease lasts
			return "v", nil
		}
		leader := start(t.Context(), here, slow)
		synctest.Wait()
		var followers []*call
		for range 10 {
			followers = append(followers, start(t.Context(), there, load("a second load")))
		}
		leader.want(t, "v", nil)
		for _, f := range followers {
			f.want(t, "v", nil)
		}
		if took := time.Since(begin); took > 20*time.Second+50*time.Millisecond {
			t.Errorf("followers were served %v after the load ended", took-20*time.Second)
		}
	})
}

func TestFollowersTakeOverFromALoadThatFailed(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		boom := errors.New("boom")
		leader := start(t.Context(), here, func(context.Context, *cache.Entry) (string, error) {
			time.Sleep(time.Second)
			return "", boom
		})
		synctest.Wait()
		follower := start(t.Context(), there, load("v"))
		leader.want(t, "", boom)
		follower.want(t, "v", nil)
	})
}

// A process that dies leaves its lease behind.
func TestDeadProcessIsSucceeded(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		dead, _ := cache.As[cache.Leaser](there.Cache())
		if _, err := dead.Lease(t.Context(), "k", 5*time.Second); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		got, err := here.GetOrCreateExclusive(t.Context(), "k", load("v"))
		if took := time.Since(begin); got != "v" || err != nil || took > 5*time.Second+100*time.Millisecond {
			t.Errorf("got %q, %v after %v; want \"v\" once the lease has run out", got, err, took)
		}
		if got, _, _ := there.Get(t.Context(), "k"); got != "v" {
			t.Errorf("the successor's value was not stored: %q", got)
		}
	})
}

func TestLongLoadLearnsOfAWriteElsewhere(t *testing.T) {
	twoProcesses(t, func(t *testing.T, here, there *cache.Typed[string]) {
		var loads atomic.Int32
		var cause atomic.Value
		begin := time.Now()
		waiting := start(t.Context(), here, func(ctx context.Context, _ *cache.Entry) (string, error) {
			if loads.Add(1) > 1 {
				return "new", nil
			}
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			return "", ctx.Err()
		})
		time.Sleep(time.Second)
		remove(t, there)
		waiting.want(t, "new", nil)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if cause.Load() != cache.ErrInvalidated {
			t.Errorf("the load's context ended with %v, want ErrInvalidated", cause.Load())
		}
	})
}
