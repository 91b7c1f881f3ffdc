package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// origin is the source of what is cached: its values are numbered by the loads, which take
// their time and may fail.
type origin struct {
	took time.Duration

	mu    sync.Mutex
	loads int
	fail  error
	tell  func(ctx context.Context, e *cache.Entry) error // may be nil
}

func (s *origin) load(ctx context.Context, e *cache.Entry) (string, error) {
	s.mu.Lock()
	s.loads++
	n, fail, tell := s.loads, s.fail, s.tell
	s.mu.Unlock()
	select {
	case <-time.After(s.took):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if fail != nil {
		return "", fail
	}
	if tell != nil {
		if err := tell(ctx, e); err != nil {
			return "", err
		}
	}
	return fmt.Sprint("v", n), nil
}

func (s *origin) failing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *origin) telling(tell func(ctx context.Context, e *cache.Entry) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell = tell
}

func (s *origin) wantLoads(t *testing.T, what string, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loads != want {
		t.Errorf("%s: got %d loads, want %d", what, s.loads, want)
	}
}

var errDown = errors.New("the source is down")

// ask calls GetOrCreateExclusive and wants this answer after so long.
func (s *origin) ask(t *testing.T, v *cache.Typed[string], what, want string, wantErr error, wantAfter time.Duration) {
	t.Helper()
	start := time.Now()
	got, err := v.GetOrCreateExclusive(t.Context(), "k", s.load)
	if got != want || !errors.Is(err, wantErr) {
		t.Errorf("%s: got %q, %v; want %q, %v", what, got, err, want, wantErr)
	}
	if took := time.Since(start); took != wantAfter {
		t.Errorf("%s: it took %v, want %v", what, took, wantAfter)
	}
}

func aging(f cache.Freshness) *cache.TypedOptions[string] {
	return &cache.TypedOptions[string]{Defaults: cache.EntryOptions{TTL: time.Minute}, Freshness: f}
}

// after lets the time pass until age d of what was stored at the time since, and
// lets everything settle.
func after(since time.Time, d time.Duration) {
	time.Sleep(time.Until(since.Add(d)))
	synctest.Wait()
}

func TestSoftTTL(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second}))
		s := &origin{took: time.Second}
		s.ask(t, v, "a miss", "v1", nil, time.Second)
		for n := 1; n <= 3; n++ {
			old, stored := fmt.Sprint("v", n), time.Now()
			after(stored, 10*time.Second-time.Millisecond)
			s.ask(t, v, "just before the soft TTL", old, nil, 0)
			synctest.Wait()
			s.wantLoads(t, "just before the soft TTL", n)
			after(stored, 10*time.Second)
			s.ask(t, v, "at the soft TTL", old, nil, 0)
			synctest.Wait()
			s.wantLoads(t, "at the soft TTL", n+1)
			after(stored, 11*time.Second-time.Millisecond)
			s.ask(t, v, "while it is refreshed", old, nil, 0)
			if got, found, err := v.Get(t.Context(), "k"); got != old || !found || err != nil {
				t.Errorf("Get of a stale value: got %q, %v, %v", got, found, err)
			}
			after(stored, 11*time.Second)
			s.wantLoads(t, "while it was refreshed", n+1)
			s.ask(t, v, "refreshed", fmt.Sprint("v", n+1), nil, 0)
		}
	})
}

func TestStaleValuesEndAtTheirTTL(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed(t, k.open(t), aging(cache.Freshness{SoftTTL: 10 * time.Second}))
				s := &origin{}
				s.ask(t, v, "a miss", "v1", nil, 0)
				stored := time.Now()
				s.failing(errDown)
				after(stored, time.Minute-time.Millisecond)
				s.ask(t, v, "just before the TTL", "v1", nil, 0)
				after(stored, time.Minute)
				s.ask(t, v, "at the TTL", "", errDown, 0)
			})
		})
	}
}

// A refresh that fails is not tried again before RetryAfter.
func TestRetryAfter(t *testing.T) {
	for _, retry := range []time.Duration{0, 3 * time.Second} {
		everyKind(t, func(t *testing.T, c cache.Cache) {
			v := typed(t, c, aging(cache.Freshness{SoftTTL: 10 * time.Second, RetryAfter: retry}))
			s := &origin{took: 100 * time.Millisecond}
			s.ask(t, v, "a miss", "v1", nil, 100*time.Millisecond)
			stored := time.Now()
			s.failing(errDown)
			after(stored, 10*time.Second)
			s.ask(t, v, "stale", "v1", nil, 0)
			failed := 10*time.Second + 100*time.Millisecond
			want := retry
			if want == 0 {
				want = cache.DefaultRetryAfter
			}
			after(stored, failed+want-time.Millisecond)
			s.ask(t, v, "before RetryAfter", "v1", nil, 0)
			synctest.Wait()
			s.wantLoads(t, "before RetryAfter", 2)
			after(stored, failed+want)
			s.ask(t, v, "after RetryAfter", "v1", nil, 0)
			synctest.Wait()
			s.wantLoads(t, "after RetryAfter", 3)
		})
	}
}

func TestStaleIfError(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{StaleIfError: 30 * time.Second, RetryAfter: 5 * time.Second}))
		s := &origin{took: time.Second}
		s.ask(t, v, "a miss", "v1", nil, time.Second)
		stored := time.Now()
		s.failing(errDown)
		after(stored, time.Minute-time.Millisecond)
		s.ask(t, v, "fresh", "v1", nil, 0)
		s.wantLoads(t, "fresh", 1)
		after(stored, time.Minute)
		if got, found, err := v.Get(t.Context(), "k"); found || err != nil {
			t.Errorf("Get of an expired value: got %q, %v, %v", got, found, err)
		}
		s.ask(t, v, "expired, and the load fails", "v1", nil, time.Second)
		s.ask(t, v, "expired, and the load has failed", "v1", nil, 0)
		after(stored, 66*time.Second-time.Millisecond)
		s.ask(t, v, "before RetryAfter", "v1", nil, 0)
		s.wantLoads(t, "before RetryAfter", 2)
		after(stored, 66*time.Second)
		s.ask(t, v, "after RetryAfter", "v1", nil, time.Second)
		s.wantLoads(t, "after RetryAfter", 3)
		s.failing(nil)
		after(stored, 72*time.Second)
		s.ask(t, v, "the source is back", "v4", nil, time.Second)
		s.ask(t, v, "and stored", "v4", nil, 0)
	})
}

// Kinds of failure that an expired value makes up for, and answers that it does
// not.
func TestWhatStaleIfErrorCovers(t *testing.T) {
	tests := []struct {
		name    string
		load    func(context.Context, *cache.Entry) (string, error)
		want    string
		wantErr error
	}{
		{"error", func(context.Context, *cache.Entry) (string, error) { return "", errDown }, "old", nil},
		{"panic", func(context.Context, *cache.Entry) (string, error) { panic("oh") }, "old", nil},
		{"too late", func(ctx context.Context, _ *cache.Entry) (string, error) { <-ctx.Done(); return "", ctx.Err() }, "old", nil},
		{"not found", func(context.Context, *cache.Entry) (string, error) { return "", cache.ErrNotFound }, "", cache.ErrNotFound},
		{"value", load("new"), "new", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			everyKind(t, func(t *testing.T, c cache.Cache) {
				v := typed(t, c, aging(cache.Freshness{StaleIfError: time.Hour}))
				if err := v.Set(t.Context(), "k", "old", cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
				after(time.Now(), 2*time.Minute)
				got, err := v.GetOrCreateExclusive(t.Context(), "k", tt.load)
				if got != tt.want || !errors.Is(err, tt.wantErr) {
					t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.wantErr)
				}
				if tt.wantErr == nil {
					return
				}
				got, err = v.GetOrCreateExclusive(t.Context(), "k", func(context.Context, *cache.Entry) (string, error) { return "", errDown })
				if !errors.Is(err, errDown) {
					t.Errorf("the old value is back: got %q, %v", got, err)
				}
			})
		})
	}
}

// StaleIfError ends: then the entry is gone.
func TestStaleIfErrorEnds(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed(t, k.open(t), aging(cache.Freshness{StaleIfError: 30 * time.Second}))
				s := &origin{}
				s.ask(t, v, "a miss", "v1", nil, 0)
				stored := time.Now()
				s.failing(errDown)
				after(stored, 90*time.Second-time.Millisecond)
				s.ask(t, v, "kept", "v1", nil, 0)
				after(stored, 90*time.Second)
				s.ask(t, v, "gone", "", errDown, 0)
			})
		})
	}
}

// SoftTimeout: the caller goes on with the old value, the load without the caller.
func TestSoftTimeout(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{StaleIfError: time.Hour, SoftTimeout: 200 * time.Millisecond}))
		s := &origin{took: 2 * time.Second}
		s.ask(t, v, "a miss waits", "v1", nil, 2*time.Second)
		stored := time.Now()
		after(stored, time.Minute)
		s.ask(t, v, "expired", "v1", nil, 200*time.Millisecond)
		after(stored, 61900*time.Millisecond)
		s.ask(t, v, "expired, near the end of the load", "v2", nil, 100*time.Millisecond)
		s.ask(t, v, "refreshed", "v2", nil, 0)
		s.wantLoads(t, "in all", 2)
	})
}

func TestHardTimeout(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		opts := aging(cache.Freshness{StaleIfError: time.Hour})
		opts.HardTimeout = 500 * time.Millisecond
		v := typed(t, c, opts)
		s := &origin{took: 2 * time.Second}
		start := time.Now()
		s.ask(t, v, "a miss", "", cache.ErrLoadTimeout, 500*time.Millisecond)
		after(start, 1800*time.Millisecond)
		s.ask(t, v, "near the end of the load", "v1", nil, 200*time.Millisecond)
		stored := time.Now()
		s.ask(t, v, "stored", "v1", nil, 0)
		after(stored, time.Minute)
		s.ask(t, v, "expired", "v1", nil, 500*time.Millisecond)
		after(stored, 62*time.Second)
		s.ask(t, v, "refreshed", "v2", nil, 0)
		s.wantLoads(t, "in all", 2)
	})
}

func TestErrorTTL(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{ErrorTTL: 3 * time.Second}))
		s := &origin{took: time.Second}
		s.failing(errDown)
		s.ask(t, v, "a miss", "", errDown, time.Second)
		failed := time.Now()
		s.ask(t, v, "at once", "", errDown, 0)
		after(failed, 3*time.Second-time.Millisecond)
		s.ask(t, v, "just before ErrorTTL", "", errDown, 0)
		s.wantLoads(t, "just before ErrorTTL", 1)
		after(failed, 3*time.Second)
		s.ask(t, v, "at ErrorTTL", "", errDown, time.Second)
		s.wantLoads(t, "at ErrorTTL", 2)
		s.failing(nil)
		if err := v.Remove(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		s.ask(t, v, "after a write", "v3", nil, time.Second)

		s.failing(cache.ErrNotFound)
		if err := v.Remove(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s.ask(t, v, "not found is no error", "", cache.ErrNotFound, time.Second)
		}
	})
}

// That the source has none is an answer, and no value to fall back on: it is not kept
// for StaleIfError, and not refreshed.
func TestNegativeEntriesDoNotAge(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		if _, never := c.(*four); never {
			t.Skip("nothing expires in it")
		}
		opts := aging(cache.Freshness{SoftTTL: 100 * time.Millisecond, StaleIfError: time.Hour, RefreshAhead: 1})
		opts.NegativeTTL = time.Second
		v, s := typed(t, c, opts), &origin{}
		s.failing(cache.ErrNotFound)
		s.ask(t, v, "a miss", "", cache.ErrNotFound, 0)
		stored := time.Now()
		after(stored, time.Second-time.Millisecond)
		s.ask(t, v, "just before NegativeTTL", "", cache.ErrNotFound, 0)
		synctest.Wait()
		s.wantLoads(t, "before NegativeTTL", 1)
		s.failing(errDown)
		after(stored, time.Second)
		s.ask(t, v, "at NegativeTTL", "", errDown, 0)
	})
}

// A caller that leaves makes its load no failed one.
func TestAbandonedLoadIsNoFailure(t *testing.T) {
	everyKind(t, func(t *testing.T, c cache.Cache) {
		v := typed(t, c, aging(cache.Freshness{ErrorTTL: time.Hour}))
		s := &origin{took: time.Second}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := v.GetOrCreateExclusive(ctx, "k", s.load); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		synctest.Wait()
		s.ask(t, v, "another caller", "v2", nil, time.Second)
	})
}

func TestFreshnessIsChecked(t *testing.T) {
	tests := []struct {
		name string
		f    cache.Freshness
	}{
		{"negative jitter", cache.Freshness{Jitter: -0.1}},
		{"all of it", cache.Freshness{Jitter: 1}},
		{"no number", cache.Freshness{Jitter: math.NaN()}},
		{"negative beta", cache.Freshness{RefreshAhead: -1}},
		{"negative soft TTL", cache.Freshness{SoftTTL: -1}},
		{"negative StaleIfError", cache.Freshness{StaleIfError: -1}},
		{"negative RetryAfter", cache.Freshness{RetryAfter: -1}},
		{"negative SoftTimeout", cache.Freshness{SoftTimeout: -1}},
		{"negative ErrorTTL", cache.Freshness{ErrorTTL: -1}},
	}
	c := openMemory(t)
	for _, tt := range tests {
		v := cache.NewTyped(c, aging(tt.f))
		if _, _, err := v.Get(t.Context(), "k"); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", tt.name, err)
		}
	}
	unnamed := cache.NewTyped(c, &cache.TypedOptions[string]{Freshness: cache.Freshness{StaleIfError: time.Second}})
	if err := unnamed.Set(t.Context(), "k", "v", cache.EntryOptions{}); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("no TTL: got %v, want ErrInvalidConfig", err)
	}
	if _, err := unnamed.GetOrCreateExclusive(t.Context(), "k", load("v")); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("no TTL: got %v, want ErrInvalidConfig", err)
	}
	if err := unnamed.Set(t.Context(), "k", "v", cache.EntryOptions{SlidingExpiration: time.Minute}); err != nil {
		t.Errorf("a sliding expiration: %v", err)
	}
}
