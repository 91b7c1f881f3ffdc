package distributed_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// The contract in virtual time, to the millisecond.
func TestConformanceOnMiniredis(t *testing.T) {
	cachetest.Run(t, cachetest.Config{
		New: func(tb testing.TB) cache.Cache {
			return open(tb, miniClient(tb, redistest.Mini(tb)), distributed.Options{Prefix: "p:"})
		},
		MaxValueBytes: distributed.DefaultMaxValueBytes,
		CoarseSliding: true,
	})
}

func TestConformanceOnRedis(t *testing.T) {
	conformInRealTime(t, redistest.Server(t).Client())
}

func TestConformanceOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes two seconds to start")
	}
	conformInRealTime(t, redistest.Cluster(t, 3).Client())
}

func conformInRealTime(t *testing.T, client redis.UniversalClient) {
	var n atomic.Int64
	cachetest.Run(t, cachetest.Config{
		New: func(tb testing.TB) cache.Cache {
			return open(tb, client, distributed.Options{Prefix: fmt.Sprint(n.Add(1), ":")})
		},
		RealTime:      &cachetest.RealTime{Parallel: true},
		MaxValueBytes: distributed.DefaultMaxValueBytes,
		CoarseSliding: true,
	})
}
