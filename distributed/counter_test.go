package distributed_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

func testCounter(t *testing.T, s server) {
	ctx := t.Context()
	add := func(delta, want int64) {
		t.Helper()
		n, err := s.Increment(ctx, "n", delta, cache.EntryOptions{TTL: time.Hour})
		if err != nil || n != want {
			t.Fatalf("Increment(%d): got %d, %v, want %d", delta, n, err, want)
		}
		if got := s.stored(t, "n"); got != fmt.Sprint(want) {
			t.Fatalf("a bare client sees %q, want %d", got, want)
		}
		s.wantTTL(t, "n", time.Hour)
	}
	refuse := func(delta int64) {
		t.Helper()
		before := s.stored(t, "n")
		_, err := s.Increment(ctx, "n", delta, cache.EntryOptions{TTL: time.Minute})
		wantErr(t, err, cache.ErrOverflow)
		if got := s.stored(t, "n"); got != before {
			t.Fatalf("the overflow changed %s to %s", before, got)
		}
	}
	if _, found, err := s.Count(ctx, "n"); found || err != nil {
		t.Fatalf("Count of nothing: got %v, %v, want a miss", found, err)
	}
	add(0, 0)
	add(5, 5)
	add(-7, -2)
	add(1<<53+2, 1<<53) // beyond it, floating point is not exact
	add(1, 1<<53+1)
	add(math.MaxInt64-1<<53-1, math.MaxInt64)
	refuse(1)
	refuse(math.MaxInt64)
	add(math.MinInt64, -1)
	add(math.MinInt64+1, math.MinInt64)
	refuse(-1)
	refuse(math.MinInt64)
	if n, found, err := s.Count(ctx, "n"); err != nil || !found || n != math.MinInt64 {
		t.Fatalf("Count: got %d, %v, %v", n, found, err)
	}

	n, err := s.Increment(ctx, "immortal", math.MinInt64, forever)
	if err != nil || n != math.MinInt64 || s.pttl(t, "immortal") != -1 {
		t.Errorf("got %d, %v, TTL %v, want the smallest, for ever", n, err, s.pttl(t, "immortal"))
	}
	must(t, s.client.IncrBy(ctx, s.prefix+"native", 7).Err())
	if n, err := s.Increment(ctx, "native", 1, cache.EntryOptions{}); n != 8 || err != nil || s.pttl(t, "native") != -1 {
		t.Errorf("a native counter: got %d, %v, want 8 and its own expiration", n, err)
	}
}

func testCounterKinds(t *testing.T, s server) {
	ctx := t.Context()
	_, err := s.Increment(ctx, "n", 1, cache.EntryOptions{})
	must(t, err)
	_, _, err = s.Get(ctx, "n")
	wantErr(t, err, cache.ErrWrongType)
	_, _, err = s.AppendTo(ctx, nil, "n")
	wantErr(t, err, cache.ErrWrongType)
	must(t, s.Set(ctx, "v", []byte("42"), cache.EntryOptions{}))
	results, err := s.GetMany(ctx, []string{"n", "v"})
	must(t, err)
	wantErr(t, results[0].Err, cache.ErrWrongType)
	if results[1].Err != nil || string(results[1].Value) != "42" {
		t.Errorf("GetMany: got %+v beside the counter", results[1])
	}
	_, err = s.Increment(ctx, "v", 1, cache.EntryOptions{})
	wantErr(t, err, cache.ErrWrongType)
	_, _, err = s.Count(ctx, "v")
	wantErr(t, err, cache.ErrWrongType)
	wantValue(t, s, "v", "42")
	if reply, err := s.Lease(ctx, "n", time.Minute); err != nil || reply.State != cache.LeaseFound {
		t.Errorf("Lease: got %+v, %v, want found", reply, err)
	}

	token := lease(t, s, "leased")
	if _, found, err := s.Count(ctx, "leased"); found || err != nil {
		t.Errorf("Count of a lease: got %v, %v, want a miss", found, err)
	}
	if n, err := s.Increment(ctx, "leased", 3, cache.EntryOptions{TTL: 2 * time.Hour}); n != 3 || err != nil {
		t.Errorf("Increment over a lease: got %d, %v, want 3", n, err)
	}
	s.wantTTL(t, "leased", 2*time.Hour)
	wantErr(t, s.Set(ctx, "leased", []byte("v"), cache.EntryOptions{Lease: token}), cache.ErrLeaseLost)
}

func TestCounterRefusesAWindow(t *testing.T) {
	c, m, client := onMini(t)
	_, err := c.Increment(t.Context(), "n", 1, cache.EntryOptions{SlidingExpiration: time.Minute})
	wantErr(t, err, cache.ErrInvalidTTL)
	c = open(t, client, distributed.Options{Defaults: cache.EntryOptions{SlidingExpiration: time.Minute}})
	_, err = c.Increment(t.Context(), "n", 1, cache.EntryOptions{})
	wantErr(t, err, cache.ErrInvalidTTL)
	if m.Exists("p:n") || m.Exists("n") {
		t.Error("a refused Increment left something")
	}
	_, err = c.Increment(t.Context(), "n", 1, cache.EntryOptions{TTL: time.Minute})
	must(t, err)
}

// A lost reply may mean that the counter was changed: the caller is told, and
// nothing is sent again.
func TestIncrementIsNotRepeated(t *testing.T) {
	m := redistest.Mini(t)
	var line line
	c := open(t, line.client(t, m), distributed.Options{})
	_, err := c.Increment(t.Context(), "n", 1, forever)
	must(t, err)
	line.lose.Store(true)
	_, err = c.Increment(t.Context(), "n", 1, forever)
	wantErr(t, err, cache.ErrOutcomeUnknown)
	line.lose.Store(false)
	if n, _, err := c.Count(t.Context(), "n"); n != 2 || err != nil {
		t.Errorf("got %d, %v, want 2: the lost one was executed once", n, err)
	}
}
