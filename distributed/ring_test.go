package distributed_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

func TestRing(t *testing.T) {
	shards := map[string]*miniredis.Miniredis{"a": miniredis.RunT(t), "b": miniredis.RunT(t)}
	addrs := make(map[string]string)
	for name, m := range shards {
		addrs[name] = m.Addr()
	}
	client := redis.NewRing(&redis.RingOptions{Addrs: addrs})
	t.Cleanup(func() { _ = client.Close() })
	c := open(t, client, distributed.Options{})
	ctx := t.Context()
	var items []cache.Item
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint("k", i))
		items = append(items, cache.Item{Key: keys[i], Value: []byte(keys[i])})
	}
	items[50].Options = cache.EntryOptions{SlidingExpiration: time.Minute, TTL: time.Hour}
	must(t, c.SetMany(ctx, items))
	results, err := c.GetMany(ctx, keys)
	must(t, err)
	for i, r := range results {
		if string(r.Value) != keys[i] {
			t.Errorf("%s: got %+v", keys[i], r)
		}
	}
	for name, m := range shards {
		if n := len(m.Keys()); n == 0 || n == len(keys) {
			t.Errorf("shard %s holds %d of %d keys", name, n, len(keys))
		}
	}
	must(t, c.Set(ctx, "filled", []byte("v"), fillWith(lease(t, c, "filled"))))
	wantValue(t, c, "filled", "v")
	must(t, c.RemoveMany(ctx, keys))
	wantMiss(t, c, keys[0])
	h, err := c.Ping(ctx)
	if err != nil || len(h.Nodes) != 2 {
		t.Errorf("Ping: got %+v, %v, want two nodes", h, err)
	}
}
