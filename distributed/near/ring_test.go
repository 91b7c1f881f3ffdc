package near

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
)

// The servers of a Ring cannot tell of changes. What is promised holds without that:
// see the package's documentation.
func TestRing(t *testing.T) {
	const bound = 300 * time.Millisecond
	for _, test := range []struct {
		mode Mode
		held bool // a value is served from here
	}{{Bounded, true}, {Validate, true}, {Ack, false}} {
		t.Run(test.mode.String(), func(t *testing.T) {
			ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": miniredis.RunT(t).Addr(), "b": miniredis.RunT(t).Addr()}})
			t.Cleanup(func() { _ = ring.Close() })
			c, other := nodeOf(t, ring, test.mode, bound), nodeOf(t, ring, test.mode, bound)
			names, others := cache.NewTyped[string](c, nil), cache.NewTyped[string](other, nil)
			ctx := context.Background()
			eventually(t, "the answer that there are no news", func() bool { return c.Contact().State == Unsupported })
			for _, key := range []string{"a", "b", "c", "d"} { // on both
				if err := others.Set(ctx, key, "old", cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
				eventually(t, "what was stored, held or not", func() bool {
					got, ok, err := names.Get(ctx, key)
					_, held := c.GetNear(ctx, key)
					return got == "old" && ok && err == nil && held == test.held
				})
				if err := other.Remove(ctx, key); err != nil {
					t.Fatal(err)
				}
				if test.mode == Bounded {
					time.Sleep(bound)
				}
				if got, ok, err := names.Get(ctx, key); ok || err != nil {
					t.Errorf("after the promise Get = %q, %v, %v, want a miss", got, ok, err)
				}
				if err := names.Set(ctx, key, "own", cache.EntryOptions{}); err != nil {
					t.Fatal(err)
				}
				if got, ok, err := names.Get(ctx, key); got != "own" || !ok || err != nil {
					t.Errorf("after an own write Get = %q, %v, %v", got, ok, err)
				}
			}
		})
	}
}
