package transport

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// A server that is slow has the whole budget to answer in, not a timeout of the
// client's own.
func TestServerHasTheWholeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := over(t, &server{answer: func(args []string) string {
			time.Sleep(4 * time.Second)
			return "$1\r\nv\r\n"
		}}, patient)
		var wg sync.WaitGroup
		for range 3 { // the first goes by itself, the others by lanes
			wg.Go(func() {
				if v, err := tr.Get(context.Background(), "k"); err != nil || string(v) != "v" {
					t.Errorf("got %q, %v from a server that took four seconds of the 10", v, err)
				}
			})
		}
		wg.Wait()
	})
}

// So has a shard of a ring.
func TestRingGivesShardsTheWholeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(args []string) string {
			if args[0] == "ping" {
				return "+PONG\r\n"
			}
			time.Sleep(time.Second)
			return "$1\r\nv\r\n"
		}}
		ring := redis.NewRing(&redis.RingOptions{
			Addrs: map[string]string{"a": "a:1"}, Dialer: s.dial, DisableIdentity: true, Protocol: 2,
			NewClient: func(o *redis.Options) *redis.Client {
				o.MaintNotificationsConfig = noMaintNotifications() // or it looks up names
				return redis.NewClient(o)
			},
		})
		t.Cleanup(func() { _ = ring.Close() })
		tr := open(t, ring, patient)
		if v, err := tr.Get(context.Background(), "k"); err != nil || string(v) != "v" {
			t.Errorf("got %q, %v from a shard that took a second of the 10 seconds", v, err)
		}
	})
}
