package memory_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// step reads, or does something else, at a time since the entry was stored.
type step struct {
	at time.Duration
	do string // "hit", "miss" or "refresh"
}

func TestExpirationIsExact(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name     string
		defaults cache.EntryOptions
		opts     cache.EntryOptions
		absolute time.Duration // from now, into opts
		steps    []step
	}{
		{"no options: the default TTL", cache.EntryOptions{}, cache.EntryOptions{}, 0,
			[]step{{at: cache.DefaultTTL - 1, do: "hit"}, {at: cache.DefaultTTL, do: "miss"}}},
		{"the backend's defaults", cache.EntryOptions{TTL: s}, cache.EntryOptions{}, 0,
			[]step{{at: s - 1, do: "hit"}, {at: s, do: "miss"}}},
		{"TTL", cache.EntryOptions{}, cache.EntryOptions{TTL: s}, 0,
			[]step{{at: s - 1, do: "hit"}, {at: s, do: "miss"}}},
		{"reading does not extend a TTL", cache.EntryOptions{}, cache.EntryOptions{TTL: s}, 0,
			[]step{{at: s / 2, do: "hit"}, {at: s - 1, do: "refresh"}, {at: s, do: "miss"}}},
		{"less than a millisecond is rounded up to one", cache.EntryOptions{}, cache.EntryOptions{TTL: 1}, 0,
			[]step{{at: time.Millisecond - 1, do: "hit"}, {at: time.Millisecond, do: "miss"}}},
		{"absolute", cache.EntryOptions{}, cache.EntryOptions{}, time.Minute,
			[]step{{at: time.Minute - 1, do: "hit"}, {at: time.Minute, do: "miss"}}},
		{"the earlier of absolute and TTL", cache.EntryOptions{}, cache.EntryOptions{TTL: s}, time.Minute,
			[]step{{at: s - 1, do: "hit"}, {at: s, do: "miss"}}},
		{"sliding without reads", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: s}, 0,
			[]step{{at: s, do: "miss"}}},
		{"every read restarts the window", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: s}, 0,
			[]step{{at: s - 1, do: "hit"}, {at: 2*s - 2, do: "hit"}, {at: 2*s - 1, do: "hit"}, {at: 3*s - 1, do: "miss"}}},
		{"Refresh restarts the window", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: s}, 0,
			[]step{{at: s - 1, do: "refresh"}, {at: 2*s - 2, do: "refresh"}, {at: 3*s - 3, do: "hit"}, {at: 4*s - 3, do: "miss"}}},
		{"Refresh cannot bring an expired entry back", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: s}, 0,
			[]step{{at: s, do: "refresh"}, {at: s, do: "miss"}}},
		{"sliding ends at the TTL", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: s, TTL: 3 * s / 2}, 0,
			[]step{{at: s - 1, do: "hit"}, {at: 3*s/2 - 1, do: "hit"}, {at: 3 * s / 2, do: "miss"}}},
		{"sliding ends at the absolute expiration", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: time.Hour}, s,
			[]step{{at: s - 1, do: "hit"}, {at: s, do: "miss"}}},
		{"NoExpiry", cache.EntryOptions{TTL: s}, cache.EntryOptions{TTL: cache.NoExpiry}, 0,
			[]step{{at: 2 * cache.MaxTTL, do: "hit"}}},
		{"a longer TTL is cut to MaxTTL", cache.EntryOptions{}, cache.EntryOptions{TTL: 2 * cache.MaxTTL}, 0,
			[]step{{at: cache.MaxTTL - 1, do: "hit"}, {at: cache.MaxTTL, do: "miss"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t, &memory.Options{Defaults: tc.defaults})
				time.Sleep(12345678 * time.Nanosecond) // off the timers' beat
				start := time.Now()
				if tc.absolute > 0 {
					tc.opts.AbsoluteExpiration = start.Add(tc.absolute)
				}
				set(t, c, "k", "v", tc.opts)
				for _, step := range tc.steps {
					time.Sleep(time.Until(start.Add(step.at)))
					switch step.do {
					case "hit":
						wantValue(t, c, "k", "v")
					case "miss":
						wantMiss(t, c, "k")
					case "refresh":
						if err := c.Refresh(ctx, "k"); err != nil {
							t.Error(err)
						}
					}
				}
			})
		})
	}
}

func TestExpiredEntriesAreReclaimedUnread(t *testing.T) {
	for _, tc := range []struct {
		name   string
		opts   cache.EntryOptions
		within time.Duration
	}{
		{"TTL", cache.EntryOptions{TTL: time.Minute}, time.Minute + 2200*time.Millisecond},
		{"short TTL", cache.EntryOptions{TTL: time.Millisecond}, 2200 * time.Millisecond},
		{"sliding", cache.EntryOptions{SlidingExpiration: time.Second}, 4 * time.Second},
		{"long sliding", cache.EntryOptions{SlidingExpiration: time.Hour}, time.Hour + time.Minute},
		{"sliding with TTL", cache.EntryOptions{SlidingExpiration: time.Hour, TTL: time.Hour}, time.Hour + 2200*time.Millisecond},
		{"pinned", cache.EntryOptions{TTL: time.Minute, Priority: cache.PriorityPinned}, time.Minute + 2200*time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen, left := &events{}, &evictions{}
				c := open(t, &memory.Options{Observer: seen, OnEvict: left.add})
				time.Sleep(time.Hour) // no timer is set
				for i := range 10 {
					set(t, c, strconv.Itoa(i), "v", tc.opts)
				}
				time.Sleep(tc.within)
				synctest.Wait()
				s := c.Stats()
				if s.Entries != 0 || s.Bytes != 0 || s.Expirations != 10 || s.Evictions != 0 || s.Misses != 0 {
					t.Errorf("got %+v", s)
				}
				if n := seen.count(cache.EventExpiration); n != 10 {
					t.Errorf("%d expirations observed", n)
				}
				for _, e := range left.list() {
					if e.Cause != memory.CauseExpired || string(e.Value.([]byte)) != "v" {
						t.Errorf("got %+v", e)
					}
				}
				if n := len(left.list()); n != 10 {
					t.Errorf("%d callbacks", n)
				}
			})
		})
	}
}

// An expired entry is found by a read, a write, a removal, or a timer; it
// counts as one expiration whoever finds it.
func TestAnExpirationCountsOnce(t *testing.T) {
	nobody := call{"nobody", func(*memory.Cache, context.Context, string) error { return nil }}
	for name, opts := range map[string]cache.EntryOptions{
		"TTL": {TTL: 100 * time.Millisecond}, "sliding": {SlidingExpiration: 100 * time.Millisecond},
	} {
		for _, find := range append(allCalls(), nobody) {
			t.Run(name+"/"+find.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					left := &evictions{}
					c := open(t, &memory.Options{OnEvict: left.add})
					time.Sleep(500 * time.Millisecond)
					set(t, c, "k", "v", opts)
					time.Sleep(100 * time.Millisecond)
					if err := find.do(c, ctx, "k"); err != nil {
						t.Error(err)
					}
					time.Sleep(5 * time.Second)
					synctest.Wait()
					all := left.list()
					if s := c.Stats(); s.Expirations != 1 || s.Removes != 0 || len(all) != 1 || all[0].Cause != memory.CauseExpired {
						t.Errorf("got %+v and callbacks %+v", s, all)
					}
				})
			})
		}
	}
}

func TestASlidingEntryInUseIsNeverReclaimed(t *testing.T) {
	for _, window := range []time.Duration{50 * time.Millisecond, time.Second, 10 * time.Second, time.Hour} {
		t.Run(window.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := open(t, nil)
				set(t, c, "k", "v", cache.EntryOptions{SlidingExpiration: window})
				for range 500 {
					time.Sleep(window - 1)
					if _, found, _ := c.Get(ctx, "k"); !found {
						t.Fatal("lost while in use")
					}
				}
				time.Sleep(window)
				wantMiss(t, c, "k")
			})
		})
	}
}

func TestACounterKeepsTheExpirationItBeganWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		inc := func(opts cache.EntryOptions) int64 {
			n, err := c.Increment(ctx, "n", 1, opts)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		inc(cache.EntryOptions{TTL: time.Minute})
		time.Sleep(time.Minute - 1)
		if n := inc(cache.EntryOptions{TTL: time.Hour}); n != 2 {
			t.Errorf("got %d, want 2", n)
		}
		time.Sleep(time.Nanosecond)
		if n := inc(cache.EntryOptions{TTL: time.Hour}); n != 1 {
			t.Errorf("got %d, want a new counter", n)
		}
	})
}

func TestSetReplacesTheExpirationToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, nil)
		for _, ttl := range []time.Duration{time.Hour, time.Second, time.Minute} {
			set(t, c, "k", "v", cache.EntryOptions{TTL: ttl})
			time.Sleep(ttl / 2)
			wantValue(t, c, "k", "v")
		}
		time.Sleep(30 * time.Second)
		wantMiss(t, c, "k")
	})
}

func TestRefusedExpirationsChangeNothing(t *testing.T) {
	c := open(t, nil)
	set(t, c, "k", "old", cache.EntryOptions{})
	for _, opts := range []cache.EntryOptions{
		{TTL: -1}, {SlidingExpiration: -1}, {AbsoluteExpiration: time.Now().Add(-time.Second)},
		{TTL: cache.NoExpiry, AbsoluteExpiration: time.Now().Add(time.Hour)},
	} {
		wantError(t, c.Set(ctx, "k", []byte("new"), opts), cache.ErrInvalidTTL)
		wantError(t, c.SetObject(ctx, "k", 1, opts), cache.ErrInvalidTTL)
		_, err := c.Increment(ctx, "k", 1, opts)
		wantError(t, err, cache.ErrInvalidTTL)
	}
	wantValue(t, c, "k", "old")
}
