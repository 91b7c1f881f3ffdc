package distributed_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// patient is a budget that a busy test machine keeps.
const patient = 10 * time.Second

// open returns a cache on client that is closed when the test ends.
func open(tb testing.TB, client redis.UniversalClient, opts distributed.Options) *distributed.Cache {
	tb.Helper()
	if opts.Budget == 0 {
		opts.Budget = patient
	}
	c, err := distributed.New(client, &opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return c
}

// mini returns a cache with the prefix "p:" on an empty miniredis, and a bare
// client of the same.
func mini(tb testing.TB) (*distributed.Cache, *miniredis.Miniredis, *redis.Client) {
	tb.Helper()
	m := redistest.Mini(tb)
	client := redistest.MiniClient(tb, m)
	return open(tb, client, distributed.Options{Prefix: "p:"}), m, client
}

// eachServer runs test on miniredis, and on a real server and a Cluster where
// there is redis-server. The bare client sees the same keys.
func eachServer(t *testing.T, test func(t *testing.T, client redis.UniversalClient)) {
	t.Run("miniredis", func(t *testing.T) {
		test(t, redistest.MiniClient(t, redistest.Mini(t)))
	})
	t.Run("redis", func(t *testing.T) {
		test(t, redistest.Server(t).Client())
	})
	t.Run("cluster", func(t *testing.T) {
		if testing.Short() {
			t.Skip("a cluster takes two seconds to start")
		}
		test(t, redistest.Cluster(t, 3).Client())
	})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantErr(tb testing.TB, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) {
		tb.Fatalf("got error %v, want %v", got, want)
	}
}

func wantValue(tb testing.TB, c cache.Cache, key, want string) {
	tb.Helper()
	got, found, err := c.Get(tb.Context(), key)
	if err != nil || !found || string(got) != want {
		tb.Fatalf("Get: got %q, %v, %v, want %q", got, found, err, want)
	}
}

func wantMiss(tb testing.TB, c cache.Cache, key string) {
	tb.Helper()
	got, found, err := c.Get(tb.Context(), key)
	if err != nil || found || got != nil {
		tb.Fatalf("Get: got %q, %v, %v, want a miss", got, found, err)
	}
}

var forever = cache.EntryOptions{TTL: cache.NoExpiry}
