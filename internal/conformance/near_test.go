package conformance

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/internal/redistest"
)

// nearOnRedis is onRedis with near caches, each of them in contact before its
// case begins.
func nearOnRedis(client redis.UniversalClient, mode near.Mode) cachetest.Config {
	cfg := onRedis(client)
	var made atomic.Int64
	cfg.New = func(tb testing.TB) cache.Cache {
		return newNear(tb, client, mode, "near case "+strconv.FormatInt(made.Add(1), 10)+":")
	}
	return cfg
}

func nearOnMiniredis(mode near.Mode) cachetest.Config {
	cfg := onMiniredis()
	cfg.New = func(tb testing.TB) cache.Cache {
		return newNear(tb, redistest.MiniClient(tb, redistest.Mini(tb)), mode, "larder:")
	}
	return cfg
}

func newNear(tb testing.TB, client redis.UniversalClient, mode near.Mode, prefix string) cache.Cache {
	tb.Helper()
	opts := &near.Options{
		Remote: distributed.Options{Prefix: prefix, Budget: 5 * time.Second},
		Mode:   mode,
	}
	if mode == near.Ack {
		opts.Bound = 100 * time.Millisecond
	}
	c, err := near.New(client, opts)
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, c)
	for c.Contact().State == near.Connecting {
		time.Sleep(time.Millisecond)
	}
	if mode == near.Ack { // the first change under a prefix waits for a bound
		if err := c.Remove(context.Background(), "settle"); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

func TestConformanceNearMiniredis(t *testing.T) {
	cachetest.Run(t, nearOnMiniredis(near.Bounded))
}

func TestConformanceNearMiniredisPrefixed(t *testing.T) {
	cfg := behindPrefix(nearOnMiniredis(near.Bounded))
	const years = "a near cache looks for its server all year, which takes seconds; the prefix changes no lifetime"
	cfg.Skip = map[string]string{
		"Expiry/NoExpiry": years, "Expiry/TTLOfJustUnderTheLongest": years, "Expiry/WindowOfJustUnderTheLongest": years,
	}
	cachetest.Run(t, cfg)
}

func TestConformanceNearServer(t *testing.T) {
	t.Parallel() // it mostly waits
	cachetest.Run(t, nearOnRedis(redistest.Server(t).Client(), near.Bounded))
}

func TestConformanceNearServerWatched(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, behindWatcher(nearOnRedis(redistest.Server(t).Client(), near.Bounded)))
}

func TestConformanceNearServerValidate(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, nearOnRedis(redistest.Server(t).Client(), near.Validate))
}

func TestConformanceNearServerAck(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, nearOnRedis(redistest.Server(t).Client(), near.Ack))
}

func TestConformanceNearCluster(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, nearOnRedis(redistest.Cluster(t, 3).Client(), near.Bounded))
}

func TestModelNear(t *testing.T) {
	cachetest.Check(t, nearOnMiniredis(near.Bounded))
}
