package distributed_test

import (
	"context"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/envelope"
	"github.com/larder-go/larder/internal/redistest"
)

// pttl returns what the server says; -1 for no expiry.
func (s server) pttl(tb testing.TB, key string) time.Duration {
	tb.Helper()
	d, err := s.client.PTTL(tb.Context(), s.prefix+key).Result()
	must(tb, err)
	return d
}

// wantTTL allows for the time a busy machine takes.
func (s server) wantTTL(tb testing.TB, key string, want time.Duration) {
	tb.Helper()
	if got := s.pttl(tb, key); got > want || got < want-30*time.Second {
		tb.Fatalf("%s: got a TTL of %v, want %v", key, got, want)
	}
}

func testNoExpiryRemovesAnOlderTTL(t *testing.T, s server) {
	must(t, s.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{TTL: time.Hour}))
	s.wantTTL(t, "k", time.Hour)
	must(t, s.Set(t.Context(), "k", []byte("v"), forever))
	if got := s.pttl(t, "k"); got != -1 {
		t.Errorf("got a TTL of %v, want none", got)
	}
}

func testTTLReachesTheServer(t *testing.T, s server) {
	for name, tc := range map[string]struct {
		opts cache.EntryOptions
		want time.Duration
	}{
		"default":                {cache.EntryOptions{}, cache.DefaultTTL},
		"hour":                   {cache.EntryOptions{TTL: time.Hour}, time.Hour},
		"longest":                {cache.EntryOptions{TTL: math.MaxInt64}, cache.MaxTTL},
		"longest window":         {cache.EntryOptions{SlidingExpiration: math.MaxInt64}, cache.MaxTTL},
		"far absolute":           {cache.EntryOptions{AbsoluteExpiration: time.Now().AddDate(300, 0, 0)}, cache.MaxTTL},
		"absolute":               {cache.EntryOptions{AbsoluteExpiration: time.Now().Add(time.Hour)}, time.Hour},
		"window within TTL":      {cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}, time.Hour},
		"window beyond TTL":      {cache.EntryOptions{SlidingExpiration: 2 * time.Hour, TTL: time.Hour}, time.Hour},
		"window of an immortal":  {cache.EntryOptions{SlidingExpiration: time.Hour, TTL: cache.NoExpiry}, time.Hour},
		"earlier of the two":     {cache.EntryOptions{AbsoluteExpiration: time.Now().Add(2 * time.Hour), TTL: time.Hour}, time.Hour},
		"absolute is the sooner": {cache.EntryOptions{AbsoluteExpiration: time.Now().Add(time.Hour), TTL: 2 * time.Hour}, time.Hour},
	} {
		must(t, s.Set(t.Context(), name, []byte("v"), tc.opts))
		s.wantTTL(t, name, tc.want)
		must(t, s.SetMany(t.Context(), []cache.Item{{Key: name, Value: []byte("v"), Options: tc.opts}}))
		s.wantTTL(t, name, tc.want)
		must(t, s.Remove(t.Context(), name))
		fill := tc.opts
		fill.Lease = lease(t, s, name)
		must(t, s.Set(t.Context(), name, []byte("v"), fill))
		s.wantTTL(t, name, tc.want)
	}
}

// go-redis gives some durations a meaning of their own: -1 keeps an older TTL,
// other negative ones and zero mean for ever.
func TestBadDurationsChangeNothing(t *testing.T) {
	c, m, _ := onMini(t)
	must(t, c.Set(t.Context(), "k", []byte("old"), cache.EntryOptions{TTL: time.Hour}))
	for name, opts := range map[string]cache.EntryOptions{
		"KEEPTTL":                  {TTL: -1},
		"minus 5 s":                {TTL: -5 * time.Second},
		"negative window":          {SlidingExpiration: -1},
		"past":                     {AbsoluteExpiration: time.Now().Add(-time.Second)},
		"immortal with a deadline": {TTL: cache.NoExpiry, AbsoluteExpiration: time.Now().Add(time.Hour)},
	} {
		for what, err := range map[string]error{
			"Set":     c.Set(t.Context(), "k", []byte("new"), opts),
			"SetMany": c.SetMany(t.Context(), []cache.Item{{Key: "k", Value: []byte("new"), Options: opts}}),
		} {
			if t.Run(name+"/"+what, func(t *testing.T) { wantErr(t, err, cache.ErrInvalidTTL) }); m.TTL("p:k") == 0 {
				t.Fatal("the entry became immortal")
			}
		}
		_, err := c.Increment(t.Context(), "n", 1, opts)
		wantErr(t, err, cache.ErrInvalidTTL)
	}
	wantValue(t, c, "k", "old")
	wantMiss(t, c, "n")
	for _, ttl := range []time.Duration{0, -1, -time.Second, cache.NoExpiry} {
		_, err := c.Lease(t.Context(), "l", ttl)
		wantErr(t, err, cache.ErrInvalidTTL)
		_, err = c.LeaseMany(t.Context(), []string{"l"}, ttl)
		wantErr(t, err, cache.ErrInvalidTTL)
	}
	lease(t, c, "l")
}

// The server's clock stamps the absolute deadline of a sliding entry.
func testStampedDeadline(t *testing.T, s server) {
	now, err := s.client.Time(t.Context()).Result()
	must(t, err)
	must(t, s.Set(t.Context(), "k", []byte("value"), cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour}))
	h, payload, err := envelope.Decode([]byte(s.stored(t, "k")), envelope.Digest(s.prefix+"k"))
	must(t, err)
	left := time.UnixMilli(h.Deadline).Sub(now)
	if left < time.Hour-time.Millisecond || left > time.Hour+30*time.Second || h.Window != time.Minute || string(payload) != "value" {
		t.Errorf("got %+v, %v from the server's now", h, left)
	}
	for name, opts := range map[string]cache.EntryOptions{
		"sliding": {SlidingExpiration: time.Hour},
		"TTL":     {TTL: time.Hour},
	} {
		must(t, s.Set(t.Context(), name, []byte("v"), opts))
		h, _, err := envelope.Decode([]byte(s.stored(t, name)), envelope.Digest(s.prefix+name))
		must(t, err)
		if h.Deadline != 0 {
			t.Errorf("%s: got a deadline, which costs a script, want none", name)
		}
	}
}

func testRefreshMovesTheTTL(t *testing.T, s server) {
	ctx := t.Context()
	shorten := func(key string) {
		t.Helper()
		must(t, s.client.PExpire(ctx, s.prefix+key, time.Minute).Err())
		must(t, s.Refresh(ctx, key))
	}
	must(t, s.Set(ctx, "sliding", []byte("v"), cache.EntryOptions{SlidingExpiration: time.Hour}))
	shorten("sliding")
	s.wantTTL(t, "sliding", time.Hour)
	must(t, s.Set(ctx, "bounded", []byte("v"), cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}))
	shorten("bounded")
	s.wantTTL(t, "bounded", time.Hour)
	for key, store := range map[string]func(key string) error{
		"absolute": func(key string) error { return s.Set(ctx, key, []byte("v"), cache.EntryOptions{TTL: time.Hour}) },
		"lease":    func(key string) error { lease(t, s, key); return nil },
		"counter": func(key string) error {
			_, err := s.Increment(ctx, key, 1, cache.EntryOptions{TTL: time.Hour})
			return err
		},
		"foreign": func(key string) error { s.raw(t, key, "text"); return nil },
		"list":    func(key string) error { return s.client.RPush(ctx, s.prefix+key, "x").Err() },
		"later": func(key string) error { // as a later larder might write it
			must(t, s.Set(ctx, key, []byte("v"), cache.EntryOptions{SlidingExpiration: time.Hour}))
			s.raw(t, key, strings.Replace(s.stored(t, key), envelope.Magic, "\xc1LD\x02", 1))
			return nil
		},
		"moved": func(key string) error { // another key's entry
			s.raw(t, key, s.stored(t, "sliding"))
			return nil
		},
	} {
		must(t, store(key))
		shorten(key)
		s.wantTTL(t, key, time.Minute)
	}
}

func testReadMovesTheTTL(t *testing.T, s server) {
	ctx := t.Context()
	for name, read := range map[string]func(key string) error{
		"Get":      func(key string) error { _, _, err := s.Get(ctx, key); return err },
		"AppendTo": func(key string) error { _, _, err := s.AppendTo(ctx, nil, key); return err },
		"GetMany":  func(key string) error { _, err := s.GetMany(ctx, []string{key}); return err },
	} {
		must(t, s.Set(ctx, name, []byte("v"), cache.EntryOptions{SlidingExpiration: time.Hour, TTL: 2 * time.Hour}))
		must(t, s.client.PExpire(ctx, s.prefix+name, time.Minute).Err())
		must(t, read(name))
		for deadline := time.Now().Add(patient); s.pttl(t, name) <= time.Minute; {
			if time.Now().After(deadline) {
				t.Fatalf("%s did not restart the window", name)
			}
		}
		s.wantTTL(t, name, time.Hour)
	}
}

// clock is virtual time since a test began.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now()} }

// at waits until d after the start, and for what happens in the background.
func (c clock) at(d time.Duration) {
	time.Sleep(time.Until(c.start.Add(d)))
	synctest.Wait()
}

// read is a read at a time, for which the entry is there or gone.
type read struct {
	at    time.Duration
	alive bool
}

func TestDeadlinesToTheMillisecond(t *testing.T) {
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		why   string
		opts  cache.EntryOptions
		reads []read
	}{
		"TTL": {
			why:   "gone at the deadline, not after it",
			opts:  cache.EntryOptions{TTL: 100 * ms},
			reads: []read{{99 * ms, true}, {100 * ms, false}},
		},
		"rounds up": {
			why:   "durations are rounded up to a millisecond",
			opts:  cache.EntryOptions{TTL: 1},
			reads: []read{{ms - 1, true}, {ms, false}},
		},
		"sliding unread": {
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms},
			reads: []read{{160 * ms, false}},
		},
		"sliding": {
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms},
			reads: []read{{159 * ms, true}, {318 * ms, true}, {477 * ms, true}, {637 * ms, false}},
		},
		"throttled": {
			why:   "the read at 169 is within a sixteenth of the window after the one at 160, and moves nothing",
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms},
			reads: []read{{159 * ms, true}, {168 * ms, true}, {319 * ms, false}},
		},
		"not throttled": {
			why:   "a sixteenth of the window later a read counts",
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms},
			reads: []read{{159 * ms, true}, {169 * ms, true}, {328 * ms, true}, {488 * ms, false}},
		},
		"sliding in a bound": {
			why:   "reading never moves an entry past its absolute deadline",
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms, TTL: 400 * ms},
			reads: []read{{150 * ms, true}, {300 * ms, true}, {399 * ms, true}, {400 * ms, false}},
		},
		"sliding in a bound unread": {
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms, TTL: 400 * ms},
			reads: []read{{150 * ms, true}, {310 * ms, false}},
		},
		"window is the bound": {
			opts:  cache.EntryOptions{SlidingExpiration: 160 * ms, TTL: 160 * ms},
			reads: []read{{100 * ms, true}, {159 * ms, true}, {160 * ms, false}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _, _ := onMini(t)
				clock := newClock()
				must(t, c.Set(t.Context(), "k", []byte("v"), tc.opts))
				for _, read := range tc.reads {
					clock.at(read.at)
					if _, alive, err := c.Get(t.Context(), "k"); err != nil || alive != read.alive {
						t.Fatalf("at %v: got %v, %v, want %v: %s", read.at, alive, err, read.alive, tc.why)
					}
				}
			})
		})
	}
}

func TestRefreshIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := onMini(t)
		clock := newClock()
		must(t, c.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{SlidingExpiration: 160 * time.Millisecond}))
		for at := time.Millisecond; at <= 5*time.Millisecond; at += time.Millisecond {
			clock.at(at)
			must(t, c.Refresh(t.Context(), "k"))
		}
		clock.at(164 * time.Millisecond)
		wantValue(t, c, "k", "v")
		clock.at(164*time.Millisecond + 160*time.Millisecond)
		wantMiss(t, c, "k")
	})
}

// A restart that is under way when the entry is replaced must not give the new
// entry the old one's window.
func TestTouchNamesTheVersionThatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		slow := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
		fast := open(t, redistest.MiniClient(t, m), distributed.Options{Prefix: "p:"})
		must(t, fast.Set(t.Context(), "k", []byte("old"), cache.EntryOptions{SlidingExpiration: time.Hour}))
		old, err := m.Get("p:k")
		must(t, err)
		must(t, fast.Set(t.Context(), "k", []byte("new"), cache.EntryOptions{SlidingExpiration: time.Minute}))
		replaced, err := m.Get("p:k")
		must(t, err)

		// The read sees the old entry, the restart after it the new one.
		watch(m, func(cmd string) {
			if cmd == "EVALSHA" {
				_ = m.Set("p:k", replaced)
				m.SetTTL("p:k", time.Second)
			}
		})
		must(t, m.Set("p:k", old))
		wantValue(t, slow, "k", "old")
		synctest.Wait()
		if got := m.TTL("p:k"); got != time.Second {
			t.Errorf("got a TTL of %v, want the new entry's left alone", got)
		}
	})
}

func TestManyReadersRestartAWindowOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, m, _ := onMini(t)
		must(t, c.Set(t.Context(), "k", []byte("v"), cache.EntryOptions{SlidingExpiration: time.Hour}))
		var touches atomic.Int64
		watch(m, func(cmd string) {
			if cmd == "PEXPIRE" {
				touches.Add(1)
			}
		})
		for range 50 {
			go func() { _, _, _ = c.Get(context.Background(), "k") }()
		}
		synctest.Wait()
		if got := touches.Load(); got != 1 {
			t.Errorf("50 concurrent readers restarted the window %d times, want once", got)
		}
	})
}
