package near

import (
	"context"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

const patience = 20 * time.Second

// clientOf returns a client of a server, or of what stands before it.
func clientOf(tb testing.TB, addr string) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, DisableIdentity: true, DialTimeout: time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// nodeOf returns a near cache as one process has it. It is closed when the test
// ends.
func nodeOf(tb testing.TB, client redis.UniversalClient, mode Mode, bound time.Duration) *Cache {
	tb.Helper()
	c, err := New(client, &Options{Mode: mode, Bound: bound, Remote: distributed.Options{Prefix: prefix, Budget: 5 * time.Second}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Close(ctx); err != nil {
			tb.Errorf("Close: got %v, want nil", err)
		}
	})
	return c
}

// eventually asks until ok, which takes what others do.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *Cache) serving() bool { return c.Contact().Serving }

func awaitServing(tb testing.TB, nodes ...*Cache) {
	tb.Helper()
	for _, n := range nodes {
		eventually(tb, "a near cache that serves", n.serving)
	}
}

// settle waits until the registry is a lease old: the first changes wait for that.
func settle(tb testing.TB, n *Cache) {
	tb.Helper()
	if err := n.Remove(context.Background(), "settle"); err != nil {
		tb.Fatal(err)
	}
}

// hunt reads key through all nodes while it is changed, and counts the reads that
// got what was before a change that had returned when they began.
type hunt struct {
	source, done atomic.Int64
	stale        atomic.Int64 // of reads
	staleHits    atomic.Int64 // of hits here
	reads, hits  atomic.Int64
	worst        atomic.Int64 // ns after the change had returned
	returned     sync.Map     // value -> time.Time
	stop         atomic.Bool
	readers      sync.WaitGroup
}

func (h *hunt) read(tb testing.TB, n *Cache, key string) {
	view := cache.NewTyped(n, &cache.TypedOptions[int64]{Defaults: cache.EntryOptions{Tokens: []cache.Token{cache.RegionToken("hunt")}}})
	ctx := context.Background()
	h.readers.Go(func() {
		for ; !h.stop.Load(); time.Sleep(20 * time.Microsecond) { // or readers alone would run on few cores
			least := h.done.Load()
			if held, ok := n.GetNear(ctx, key); ok {
				h.hits.Add(1)
				h.judge(held.(int64), least, &h.staleHits)
			}
			least = h.done.Load()
			v, err := view.GetOrCreateExclusive(ctx, key, func(context.Context, *cache.Entry) (int64, error) {
				return h.source.Load(), nil
			})
			if err != nil {
				tb.Errorf("read: %v", err)
				return
			}
			h.reads.Add(1)
			h.judge(v, least, &h.stale)
		}
	})
}

// judge counts a value that is less than what had been reached when it was asked
// for.
func (h *hunt) judge(v, least int64, stale *atomic.Int64) {
	if v >= least {
		return
	}
	stale.Add(1)
	if at, ok := h.returned.Load(v + 1); ok {
		h.worst.Store(max(h.worst.Load(), int64(time.Since(at.(time.Time)))))
	}
}

// change writes the source and calls invalidate, until it has done so as often or
// for as long.
func (h *hunt) change(tb testing.TB, rounds int, invalidate func() error) (took []time.Duration) {
	for range rounds {
		v := h.source.Add(1)
		start := time.Now()
		if err := invalidate(); err != nil {
			tb.Fatalf("invalidate: %v", err)
		}
		now := time.Now()
		took = append(took, now.Sub(start))
		h.returned.Store(v, now)
		h.done.Store(v)
		// Time for the readers to fill and to read what they hold.
		for goal := h.reads.Load() + 20; h.reads.Load() < goal && time.Since(now) < 50*time.Millisecond; {
			time.Sleep(50 * time.Microsecond)
		}
	}
	return took
}

// wantNone ends the test badly if anything was stale.
func (h *hunt) wantNone(tb testing.TB) {
	tb.Helper()
	if reads, hits := h.stale.Load(), h.staleHits.Load(); reads+hits != 0 {
		tb.Errorf("stale: got %d reads and %d hits, up to %v late, want none", reads, hits, time.Duration(h.worst.Load()))
	}
}

func (h *hunt) end() {
	h.stop.Store(true)
	h.readers.Wait()
}

func quantile(took []time.Duration, q float64) time.Duration {
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

func rounds(n int) int {
	switch {
	case testing.Short():
		return n / 10
	case os.Getenv("LARDER_STRESS") == "":
		return n / 2
	}
	return n
}
