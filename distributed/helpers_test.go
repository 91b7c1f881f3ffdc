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

var forever = cache.EntryOptions{TTL: cache.NoExpiry}

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

// onMini returns a cache with the prefix "p:" on an empty miniredis, and a bare
// client of the same. It may be called in a synctest bubble.
func onMini(tb testing.TB) (*distributed.Cache, *miniredis.Miniredis, *redis.Client) {
	tb.Helper()
	m := redistest.Mini(tb)
	client := redistest.MiniClient(tb, m)
	return open(tb, client, distributed.Options{Prefix: "p:"}), m, client
}

// server is what a test runs on: a cache and a bare client that sees the same
// keys, after prefix.
type server struct {
	*distributed.Cache
	client redis.UniversalClient
	prefix string
}

// raw writes bytes that no cache wrote.
func (s server) raw(tb testing.TB, key, value string) {
	tb.Helper()
	must(tb, s.client.Set(tb.Context(), s.prefix+key, value, 0).Err())
}

// stored returns the bytes under key.
func (s server) stored(tb testing.TB, key string) string {
	tb.Helper()
	value, err := s.client.Get(tb.Context(), s.prefix+key).Result()
	must(tb, err)
	return value
}

// TestOnEveryServer runs what depends on the server on miniredis, and on a real
// server and a Cluster where there is redis-server.
func TestOnEveryServer(t *testing.T) {
	tests := []struct {
		name string
		run  func(t *testing.T, s server)
	}{
		{"KeysAreByteForByte", testKeysAreByteForByte},
		{"SetGetRemove", testSetGetRemove},
		{"SetReplacesAnything", testSetReplacesAnything},
		{"NoExpiryRemovesAnOlderTTL", testNoExpiryRemovesAnOlderTTL},
		{"TTLReachesTheServer", testTTLReachesTheServer},
		{"StampedDeadline", testStampedDeadline},
		{"RefreshMovesTheTTL", testRefreshMovesTheTTL},
		{"ReadMovesTheTTL", testReadMovesTheTTL},
		{"ForeignIsLeftAlone", testForeignIsLeftAlone},
		{"Counter", testCounter},
		{"CounterKinds", testCounterKinds},
		{"LeaseStates", testLeaseStates},
		{"LeaseIsVoidedByEveryWrite", testLeaseIsVoidedByEveryWrite},
		{"LeaseReplacesDamage", testLeaseReplacesDamage},
		{"LeaseMany", testLeaseMany},
		{"Release", testRelease},
		{"Extend", testExtend},
		{"Peek", testPeek},
		{"FollowedLease", testFollowedLease},
		{"Explain", testExplain},
		{"Batch", testBatch},
		{"BatchFills", testBatchFills},
		{"LeaseHasOneWinner", testLeaseHasOneWinner},
		{"States", testStates},
		{"LockedLayout", testLockedLayout},
		{"LockedTTL", testLockedTTL},
		{"LockHasOneWinner", testLockHasOneWinner},
		{"HoldRefusesLeases", testHoldRefusesLeases},
		{"DamageIsNotLocked", testDamageIsNotLocked},
		{"Versions", testVersions},
		{"GetItem", testGetItem},
		{"VersionHasOneHeir", testVersionHasOneHeir},
		{"OptimisticIncrements", testOptimisticIncrements},
		{"MarkLayout", testMarkLayout},
		{"MarkIsPruned", testMarkIsPruned},
		{"DamagedMark", testDamagedMark},
		{"MarkIsNoDamage", testMarkIsNoDamage},
		{"Ordered", testOrdered},
		{"OrderedReplaces", testOrderedReplaces},
		{"Fences", testFences},
		{"RegionsExpire", testRegionsExpire},
		{"RegionsByEveryRead", testRegionsByEveryRead},
		{"RegionsOnLockedEntries", testRegionsOnLockedEntries},
		{"RegionFills", testRegionFills},
		{"RegionBatches", testRegionBatches},
		{"ItemTokens", testItemTokens},
		{"RegionMoments", testRegionMoments},
		{"LostGenerations", testLostGenerations},
		{"ForeignGenerations", testForeignGenerations},
		{"GenerationsOutlastEntries", testGenerationsOutlastEntries},
		{"LeaseOfExpiredRegion", testLeaseOfExpiredRegion},
		{"NoStaleRegion", testNoStaleRegion},
	}
	on := func(name string, start func(t *testing.T) redis.UniversalClient) {
		t.Run(name, func(t *testing.T) {
			client := start(t)
			for _, test := range tests {
				t.Run(test.name, func(t *testing.T) {
					prefix := test.name + ":"
					test.run(t, server{open(t, client, distributed.Options{Prefix: prefix}), client, prefix})
				})
			}
		})
	}
	on("miniredis", func(t *testing.T) redis.UniversalClient { return redistest.MiniClient(t, redistest.Mini(t)) })
	on("redis", func(t *testing.T) redis.UniversalClient { return redistest.Server(t).Client() })
	on("cluster", func(t *testing.T) redis.UniversalClient {
		if testing.Short() {
			t.Skip("a cluster takes two seconds to start")
		}
		return redistest.Cluster(t, 3).Client()
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
	if err != nil || !found || got == nil || string(got) != want {
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

// lease takes a lease that must be free.
func lease(tb testing.TB, c cache.Leaser, key string) cache.Lease {
	tb.Helper()
	reply, err := c.Lease(tb.Context(), key, time.Minute)
	must(tb, err)
	if reply.State != cache.LeaseGranted {
		tb.Fatalf("Lease: got state %d, want granted", reply.State)
	}
	return reply.Lease
}

func second[T any](_ T, err error) error { return err }
