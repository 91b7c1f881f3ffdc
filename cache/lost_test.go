package cache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// tally counts events by their kind.
type tally struct {
	mu sync.Mutex
	n  map[cache.EventKind]uint64
}

func (c *tally) Observe(_ context.Context, e cache.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = make(map[cache.EventKind]uint64)
	}
	c.n[e.Kind]++
}

func (c *tally) of(kind cache.EventKind) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[kind]
}

// What becomes of loads whose key another process writes is counted, and
// observed: once each.
func TestLossesAreCountedAndObserved(t *testing.T) {
	tests := []struct {
		name                                   string
		load                                   time.Duration // how long the first load takes
		removed                                bool          // whether its key is removed elsewhere after a second
		late                                   bool          // whether a caller comes after that
		leasesLost, fillsRefused, joinsRefused uint64
	}{
		{name: "nothing happens", load: 10 * time.Second},
		{name: "nothing happens, and a caller joins", load: 10 * time.Second, late: true},
		{name: "the fill finds it out", load: 1500 * time.Millisecond, removed: true, leasesLost: 1, fillsRefused: 1},
		{name: "the lease's extension finds it out", load: 10 * time.Second, removed: true, leasesLost: 1, fillsRefused: 1},
		{name: "a caller finds it out", load: 1500 * time.Millisecond, removed: true, late: true,
			leasesLost: 1, fillsRefused: 1, joinsRefused: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := redistest.Mini(t)
				var seen tally
				open := func(o cache.Observer) *cache.Typed[string] {
					c, err := distributed.New(redistest.MiniClient(t, m), &distributed.Options{Observer: o})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { closeCache(t, c) })
					return cache.NewTyped[string](c, nil)
				}
				here, there := open(&seen), open(nil)
				calls := []*call{start(t.Context(), here, func(context.Context, *cache.Entry) (string, error) {
					time.Sleep(tt.load)
					return "v", nil
				})}
				time.Sleep(time.Second)
				if tt.removed {
					remove(t, there)
				}
				if tt.late {
					calls = append(calls, start(t.Context(), here, load("v")))
				}
				for _, c := range calls {
					c.want(t, "v", nil)
				}
				time.Sleep(tt.load) // a load that was voided runs on
				synctest.Wait()
				s := here.Cache().(cache.StatsReporter).Stats()
				if s.LeasesLost != tt.leasesLost || s.FillsRefused != tt.fillsRefused || s.JoinsRefused != tt.joinsRefused {
					t.Errorf("got %d leases lost, %d fills and %d joins refused, want %d, %d and %d",
						s.LeasesLost, s.FillsRefused, s.JoinsRefused, tt.leasesLost, tt.fillsRefused, tt.joinsRefused)
				}
				for kind, want := range map[cache.EventKind]uint64{
					cache.EventLeaseLost: s.LeasesLost, cache.EventFillRefused: s.FillsRefused, cache.EventJoinRefused: s.JoinsRefused,
				} {
					if got := seen.of(kind); got != want {
						t.Errorf("%v: got %d events, want %d", kind, got, want)
					}
				}
			})
		})
	}
}

// A lease that the cache itself spends or voids is not lost.
func TestOwnWritesLoseNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := typed[string](t, openMemory(t), nil)
		release := make(chan struct{})
		c := start(t.Context(), v, func(context.Context, *cache.Entry) (string, error) {
			<-release
			return "old", nil
		})
		synctest.Wait()
		if err := v.Set(t.Context(), "k", "new", cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
		close(release)
		<-c.done
		synctest.Wait()
		s := v.Cache().(cache.StatsReporter).Stats()
		if s.LeasesLost != 0 || s.FillsRefused == 0 {
			t.Errorf("got %d leases lost and %d fills refused, want 0 and some", s.LeasesLost, s.FillsRefused)
		}
	})
}
