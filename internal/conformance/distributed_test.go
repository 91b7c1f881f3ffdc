package conformance

import (
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// onRedis is a Config for caches on client. Every cache has a prefix of its
// own, so that cases can share a server.
func onRedis(client redis.UniversalClient) cachetest.Config {
	var made atomic.Int64
	return cachetest.Config{
		New: func(tb testing.TB) cache.Cache {
			return newDistributed(tb, client, "case "+strconv.FormatInt(made.Add(1), 10)+":")
		},
		RealTime:      &cachetest.RealTime{Unit: 100 * time.Millisecond, Parallel: true},
		MaxValueBytes: distributed.DefaultMaxValueBytes,
		CoarseSliding: true,
	}
}

func newDistributed(tb testing.TB, client redis.UniversalClient, prefix string) cache.Cache {
	tb.Helper()
	c, err := distributed.New(client, &distributed.Options{
		Prefix: prefix,
		Budget: 5 * time.Second, // cases run side by side on a busy machine
	})
	if err != nil {
		tb.Fatal(err)
	}
	closeAtEnd(tb, c)
	return c
}

func onMiniredis() cachetest.Config {
	return cachetest.Config{
		New: func(tb testing.TB) cache.Cache {
			return newDistributed(tb, redistest.MiniClient(tb, redistest.Mini(tb)), "larder:")
		},
		MaxValueBytes: distributed.DefaultMaxValueBytes,
		CoarseSliding: true,
	}
}

func TestConformanceMiniredis(t *testing.T) {
	cachetest.Run(t, onMiniredis())
}

func TestConformanceMiniredisWatched(t *testing.T) {
	cachetest.Run(t, behindWatcher(onMiniredis()))
}

func TestConformanceMiniredisPrefixed(t *testing.T) {
	cachetest.Run(t, behindPrefix(onMiniredis()))
}

func TestConformanceServer(t *testing.T) {
	t.Parallel() // it mostly waits
	cachetest.Run(t, onRedis(redistest.Server(t).Client()))
}

func TestConformanceServerWatched(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, behindWatcher(onRedis(redistest.Server(t).Client())))
}

func TestConformanceServerPrefixed(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, behindPrefix(onRedis(redistest.Server(t).Client())))
}

func TestConformanceCluster(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, onRedis(redistest.Cluster(t, 3).Client()))
}

func TestConformanceClusterPrefixed(t *testing.T) {
	skipIfShort(t)
	t.Parallel() // it mostly waits
	cachetest.Run(t, behindPrefix(onRedis(redistest.Cluster(t, 3).Client())))
}

func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the suite on a real server once more")
	}
}
