package cache_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// Lifetimes are spread over the last part of what was asked for.
func TestJitter(t *testing.T) {
	for _, k := range kinds[1:] {
		t.Run(k.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := typed(t, k.open(t), aging(cache.Freshness{Jitter: 0.5}))
				const entries = 200
				for i := range entries {
					if err := v.Set(t.Context(), fmt.Sprint(i), "x", cache.EntryOptions{}); err != nil {
						t.Fatal(err)
					}
				}
				stored := time.Now()
				left := func(age time.Duration) (n int) {
					after(stored, age)
					for i := range entries {
						if _, found, _ := v.Get(t.Context(), fmt.Sprint(i)); found {
							n++
						}
					}
					return n
				}
				if n := left(30*time.Second - time.Millisecond); n != entries {
					t.Errorf("at half of the TTL: got %d of %d", n, entries)
				}
				// 200 throws of a coin: outside of this once in 10^9.
				if n := left(45 * time.Second); n < 55 || n > 145 {
					t.Errorf("at three quarters of the TTL: got %d of %d, want about half", n, entries)
				}
				if n := left(time.Minute); n != 0 {
					t.Errorf("at the TTL: got %d", n)
				}
			})
		})
	}
}

// RefreshAhead begins within 50 times the load time of the end, and is done before
// it where there are readers enough.
func TestRefreshAhead(t *testing.T) {
	for _, f := range []cache.Freshness{{RefreshAhead: 1}, {RefreshAhead: 1, SoftTTL: 40 * time.Second}} {
		everyKind(t, func(t *testing.T, c cache.Cache) {
			v := typed(t, c, aging(f))
			s := &origin{took: 500 * time.Millisecond}
			s.ask(t, v, "a miss", "v1", nil, 500*time.Millisecond)
			stored := time.Now()
			end := f.SoftTTL
			if end == 0 {
				end = time.Minute
			}
			for age := time.Duration(0); age < end-25*time.Second; age += 100 * time.Millisecond {
				s.ask(t, v, "too early", "v1", nil, 0)
				after(stored, age)
			}
			s.wantLoads(t, "too early", 1)
			for age := end - 25*time.Second; age < end; age += 10 * time.Millisecond {
				after(stored, age)
				if _, err := v.GetOrCreateExclusive(t.Context(), "k", s.load); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			s.wantLoads(t, "in time", 2)
			after(stored, end+time.Millisecond)
			s.ask(t, v, "at the old end", "v2", nil, 0)
		})
	}
}
