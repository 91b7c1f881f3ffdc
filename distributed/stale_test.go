package distributed_test

import (
	"context"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// versioned is a source with one rising number per key, and what is known to
// have been removed from the caches.
type versioned struct {
	current, removed [8]atomic.Int64
}

func (v *versioned) load(k int) string {
	n := v.current[k].Load()
	for range 20 {
		runtime.Gosched() // somebody else's turn, between reading and storing
	}
	return strconv.FormatInt(n, 10)
}

// reader reads key k through one of several processes' caches.
type reader func(ctx context.Context, c *distributed.Cache, key string, load func() string) (string, error)

func throughLeases(ctx context.Context, c *distributed.Cache, key string, load func() string) (string, error) {
	return cache.GetOrCreateExclusive(ctx, c, key, func(context.Context, *cache.Entry) (string, error) { return load(), nil })
}

// naively is cache-aside as it is usually written: the checker must catch it.
func naively(ctx context.Context, c *distributed.Cache, key string, load func() string) (string, error) {
	if value, found, err := c.Get(ctx, key); found || err != nil {
		return string(value), err
	}
	value := load()
	return value, c.Set(ctx, key, []byte(value), cache.EntryOptions{})
}

// hunt reads and removes through two caches until the time is over, or until
// enough stale values were read. Every read must bring what the source held
// after the last removal that returned before it, or something newer.
func hunt(t *testing.T, client redis.UniversalClient, prefix string, read reader, d time.Duration, enough int64) (reads, stale int64) {
	t.Helper()
	caches := []*distributed.Cache{open(t, client, distributed.Options{Prefix: prefix}), open(t, client, distributed.Options{Prefix: prefix})}
	var source versioned
	var nReads, nStale atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	over := func() bool { return ctx.Err() != nil || nStale.Load() >= enough }
	var wg sync.WaitGroup
	for g := range 12 {
		c := caches[g%2]
		k := g % len(source.current)
		key := "k" + strconv.Itoa(k)
		wg.Go(func() {
			for !over() {
				floor := source.removed[k].Load()
				got, err := read(t.Context(), c, key, func() string { return source.load(k) })
				n, bad := strconv.ParseInt(got, 10, 64)
				if err != nil || bad != nil {
					t.Errorf("read: %q, %v", got, err)
					return
				}
				nReads.Add(1)
				if n < floor {
					nStale.Add(1)
				}
			}
		})
		if g >= len(source.current) {
			continue // one writer per key
		}
		wg.Go(func() {
			for i := 0; !over(); i++ {
				n := source.current[k].Add(1)
				if err := caches[i%2].Remove(t.Context(), key); err != nil {
					t.Errorf("Remove: %v", err)
					return
				}
				source.removed[k].Store(n)
				for range 50 {
					runtime.Gosched()
				}
			}
		})
	}
	wg.Wait()
	return nReads.Load(), nStale.Load()
}

// A read that starts after a removal returned never sees what was removed, in
// another process neither.
func TestNoStaleReads(t *testing.T) {
	d := 2 * time.Second
	if testing.Short() {
		d = 300 * time.Millisecond
	}
	for name, start := range map[string]func() redis.UniversalClient{
		"miniredis": func() redis.UniversalClient { return redistest.MiniClient(t, redistest.Mini(t)) },
		"redis":     func() redis.UniversalClient { return redistest.Server(t).Client() },
	} {
		t.Run(name, func(t *testing.T) {
			client := start()
			reads, stale := hunt(t, client, "leases:", throughLeases, d, 1<<62)
			t.Logf("%d reads, %d stale", reads, stale)
			if stale != 0 || reads == 0 {
				t.Errorf("got %d stale of %d reads, want none", stale, reads)
			}
			reads, stale = hunt(t, client, "naive:", naively, time.Minute, 1)
			t.Logf("without leases: stale after %d reads", reads)
			if stale == 0 {
				t.Errorf("the checker did not catch the naive reader in %d reads", reads)
			}
		})
	}
}
