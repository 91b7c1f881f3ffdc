package distributed_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

// What a region's server did not answer in time may be answered later, into
// commands whose callers have left. The race detector sees who still looks at them.
func TestTierLooksAtNothingThatWasNotAnswered(t *testing.T) {
	live, frozen := redistest.Server(t), redistest.Server(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"live": live.Addr(), "frozen": frozen.Addr()}})
	t.Cleanup(func() { _ = ring.Close() })
	c, err := distributed.New(ring, &distributed.Options{BreakerFailures: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	c.TrackRegions()
	tier, ctx := c.Tier(), context.Background()
	const keys = 64
	tokens := make([]cache.Token, keys)
	copies := make([]distributed.Copy, keys)
	key := func(i int) string { return fmt.Sprint("key", i) }
	for i := range keys {
		tokens[i] = cache.KeyToken("region", fmt.Sprint(i))
		if err := c.Set(ctx, key(i), []byte("v"), cache.EntryOptions{TTL: time.Hour, Tokens: tokens[i : i+1]}); err != nil {
			t.Fatal(err)
		}
		if copies[i], _, err = tier.Read(ctx, key(i), tokens[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	frozen.Stop()
	var all sync.WaitGroup
	failed := make([]bool, keys)
	for i := range keys {
		all.Go(func() {
			_, _, readErr := tier.Read(ctx, key(i), tokens[i:i+1])
			_, currentErr := tier.Current(ctx, key(i), &copies[i])
			failed[i] = readErr != nil && currentErr != nil
		})
	}
	all.Wait()
	frozen.Cont()
	n := 0
	for _, f := range failed {
		if f {
			n++
		}
	}
	if n == 0 {
		t.Error("nothing failed although a server was frozen")
	}
}
