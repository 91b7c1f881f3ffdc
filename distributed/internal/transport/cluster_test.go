package transport

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes seconds to form")
	}
	cluster := redistest.Cluster(t, 3)
	t.Run("sharing", func(t *testing.T) { checkSharing(t, cluster.Client()) })
	t.Run("moved slot", func(t *testing.T) { checkMovedSlot(t, cluster) })
	t.Run("dead shard", func(t *testing.T) { checkDeadShard(t, cluster) })
	t.Run("successor", func(t *testing.T) { checkSuccessor(t, cluster) })
}

func TestRing(t *testing.T) {
	a, b := redistest.Server(t), redistest.Server(t)
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": a.Addr(), "b": b.Addr()}})
	defer ring.Close()
	checkSharing(t, ring)
	for _, s := range []*redistest.Instance{a, b} {
		if n := s.Client().DBSize(context.Background()).Val(); n < 100 {
			t.Errorf("one shard has %d keys of 1000", n)
		}
	}
}

// checkSuccessor kills a primary and gives a slot of it to another, as a
// failover does, while the breaker in front of it is open.
func checkSuccessor(t *testing.T, cluster *redistest.ClusterInstance) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tr := open(t, cluster.Client(), Options{Budget: time.Second})
	key, heir := "", cluster.Node(1).Client()
	for i := 0; key == ""; i++ {
		name := fmt.Sprint("heirloom", i)
		if c, err := cluster.Client().MasterForKey(ctx, name); err != nil {
			t.Fatal(err)
		} else if c.Options().Addr == cluster.Node(0).Addr() {
			key = name
		}
	}
	if err := set(tr, key, "v"); err != nil {
		t.Fatal(err)
	}
	slot := cluster.Client().ClusterKeySlot(ctx, key).Val()
	heirID := heir.Do(ctx, "cluster", "myid").Val()
	cluster.Node(0).Kill()
	killed := time.Now()
	for time.Since(killed) < 600*time.Millisecond { // every reload that the death alone brings is over
		if err := set(tr, key, "v"); err == nil {
			t.Fatal("a dead server took a write")
		}
		time.Sleep(time.Millisecond)
	}
	if got := tr.State(); got == breaker.Closed {
		t.Fatalf("breaker is %v", got)
	}
	for i := 1; i < 3; i++ {
		if err := cluster.Node(i).Client().Do(ctx, "cluster", "setslot", slot, "node", heirID).Err(); err != nil {
			t.Fatal(err)
		}
		cluster.Node(i).Client().ConfigSet(ctx, "cluster-require-full-coverage", "no")
	}
	start := time.Now()
	for set(tr, key, "v") != nil {
		if time.Since(start) > 20*time.Second {
			t.Fatal("the successor was not found in 20s")
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("found the successor in %v", time.Since(start))
}

// checkMovedSlot moves the empty slot of a key, half way and then wholly, and
// expects every command to be executed once where the key is.
func checkMovedSlot(t *testing.T, cluster *redistest.ClusterInstance) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tr := open(t, cluster.Client(), patient)
	var key string
	var slot int64
	var from *redis.Client
	for i := 0; ; i++ { // until its slot is empty, for only such a one moves so easily
		key = fmt.Sprint("wanderer", i)
		slot = cluster.Client().ClusterKeySlot(ctx, key).Val()
		var err error
		if from, err = cluster.Client().MasterForKey(ctx, key); err != nil {
			t.Fatal(err)
		}
		if from.ClusterCountKeysInSlot(ctx, int(slot)).Val() == 0 {
			break
		}
	}
	if err := set(tr, key, "1"); err != nil {
		t.Fatal(err)
	}
	var to *redis.Client
	for i := range 3 {
		if c := cluster.Node(i).Client(); c.Options().Addr != from.Options().Addr {
			to = c
		}
	}
	id := func(c *redis.Client) string { return c.Do(ctx, "cluster", "myid").Val().(string) }
	fromID, toID := id(from), id(to)
	do := func(c *redis.Client, args ...any) {
		t.Helper()
		if err := c.Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", args[:2], err)
		}
	}
	do(to, "cluster", "setslot", slot, "importing", fromID)
	do(from, "cluster", "setslot", slot, "migrating", toID)
	do(from, "del", key) // now it answers ASK for it
	incrOnce := func(want int64) {
		t.Helper()
		cmd := redis.NewIntCmd(ctx, "incr", key)
		if err := tr.Do(ctx, key, cmd, Write); err != nil || cmd.Val() != want {
			t.Errorf("got %d, %v, want %d", cmd.Val(), err, want)
		}
	}
	incrOnce(1)
	do(to, "cluster", "setslot", slot, "node", toID)
	do(from, "cluster", "setslot", slot, "node", toID) // now it answers MOVED
	incrOnce(2)
	if v, err := tr.Get(ctx, key); err != nil || string(v) != "2" {
		t.Errorf("got %q, %v, want 2", v, err)
	}
}

func checkDeadShard(t *testing.T, cluster *redistest.ClusterInstance) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tr := open(t, cluster.Client(), Options{Budget: time.Second})
	byNode := make(map[*node]string)
	for i := 0; len(byNode) < 3; i++ {
		key := strconv.Itoa(i)
		if err := set(tr, key, key); err != nil {
			t.Fatal(err)
		}
		n, err := tr.routes.node(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		byNode[n] = key
	}
	frozen := cluster.Node(0)
	addr := frozen.Addr()
	frozen.Stop()
	defer frozen.Cont()
	for n, key := range byNode {
		dead := n.client.(*redis.Client).Options().Addr == addr
		start := time.Now()
		for range 20 {
			v, err := tr.Get(ctx, key)
			switch {
			case dead && !errors.Is(err, cache.ErrUnavailable):
				t.Errorf("got %v from the frozen shard, want ErrUnavailable", err)
			case !dead && (err != nil || string(v) != key):
				t.Errorf("got %q, %v from a healthy shard", v, err)
			}
		}
		// Calls that wait for the frozen shard, one after the other, take 20 s.
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("20 calls took %v, shard frozen: %t", d, dead)
		}
	}
	keys, cmds := []string{}, []redis.Cmder{}
	for _, key := range byNode {
		keys, cmds = append(keys, key), append(cmds, redis.NewStringCmd(ctx, "get", key))
	}
	failed := 0
	for _, err := range tr.DoMany(ctx, keys, cmds, Read) {
		if err != nil {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d of 3 shards failed in a batch, want the frozen one", failed)
	}
}
