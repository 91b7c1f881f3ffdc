package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/internal/redistest"
)

func TestChangesOfEveryPrimaryArrive(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t, 3)
	client := cluster.Client()
	_, r := listen(t, client, Options{Prefix: "p:", Channels: []string{"p:ch"}})
	r.awaitContact(t)
	const keys = 300
	for i := range keys {
		do(t, client, "set", fmt.Sprintf("p:%d", i), "v")
	}
	r.awaitContact(t)
	if n := r.keys(); n != keys {
		t.Errorf("keys: got %d, want %d", n, keys)
	}
	do(t, client, "publish", "p:ch", "m")
	r.await(t, "message", func() bool { return len(r.messages) == 3 })
	r.mark()
	cluster.Node(1).Stop() // no contact without it, whatever the others say
	r.await(t, "lost", func() bool { return errors.Is(r.err, ErrSilent) })
	cluster.Node(1).Cont()
	r.wantOrder(t, "lost", "flushed", "contact")
}

func TestAClusterThatLosesAPrimaryComesBackFlushed(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t, 3)
	replica := cluster.AddReplica(0)
	client := cluster.Client()
	_, r := listen(t, client, Options{Prefix: "p:"})
	r.awaitContact(t)
	r.mark()
	cluster.Node(0).Kill()
	r.wantOrder(t, "lost", "flushed", "contact")
	r.awaitContact(t)
	for i := range 100 {
		key := fmt.Sprintf("p:{%d}", i)
		slot, err := replica.Client().ClusterKeySlot(context.Background(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		if slot < clusterSlots/3 {
			do(t, replica.Client(), "set", key, "v")
			r.await(t, "change on the new primary", func() bool { return r.changed[key] == 1 })
			return
		}
	}
	t.Fatal("no key belongs to the first primary")
}

const clusterSlots = 16384

// A primary without slots may be read as soon as one is being moved to it.
func TestAPrimaryWithoutSlotsIsHeard(t *testing.T) {
	t.Parallel()
	cluster := redistest.Cluster(t, 2)
	_, r := listen(t, cluster.Client(), Options{Prefix: "p:"})
	r.awaitContact(t)
	r.mark()
	empty := redistest.Server(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
	host, port, _ := strings.Cut(cluster.Node(0).Addr(), ":")
	do(t, empty.Client(), "cluster", "meet", host, port)
	r.await(t, "lost", func() bool { return errors.Is(r.err, ErrTopology) })
	r.await(t, "connection to the new node", func() bool {
		list, err := empty.Client().ClientList(context.Background()).Result()
		return err == nil && strings.Contains(list, " name=larder-near ")
	})
	r.awaitContact(t)

	// Move the slot of a key, and change the key while it is at the new node.
	const key = "p:{moving}"
	ctx := context.Background()
	do(t, cluster.Client(), "set", key, "v")
	slot := cluster.Client().ClusterKeySlot(ctx, key).Val()
	owner := cluster.Node(int(slot) / (clusterSlots / 2))
	do(t, empty.Client(), "cluster", "setslot", slot, "importing", owner.Client().Do(ctx, "cluster", "myid").Val())
	do(t, owner.Client(), "cluster", "setslot", slot, "migrating", empty.Client().Do(ctx, "cluster", "myid").Val())
	host, port, _ = strings.Cut(empty.Addr(), ":")
	r.awaitContact(t)
	before := locked(r, &r.changed)[key]
	do(t, owner.Client(), "migrate", host, port, key, 0, 5000)
	r.await(t, "change by the move", func() bool { return r.changed[key] > before })
	r.awaitContact(t)
	before = locked(r, &r.changed)[key]
	do(t, cluster.Client(), "set", key, "w") // redirected by ASK
	r.await(t, "change at the new node", func() bool { return r.changed[key] > before })
}

func TestSlotsThatTheClientAloneKnowsOfAreUnsupported(t *testing.T) {
	t.Parallel()
	server := redistest.Server(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: clusterSlots - 1, Nodes: []redis.ClusterNode{{Addr: server.Addr()}}}}, nil
		},
	})
	defer client.Close()
	l, r := listen(t, client, Options{Prefix: "p:"})
	r.await(t, "refusal", func() bool { return errors.Is(r.err, ErrUnsupported) })
	shut(t, l)
}

func TestParseNodes(t *testing.T) {
	text := "a1 10.0.0.1:7000@17000,host myself,master - 0 1 2 connected 0-100\r\n" +
		"a7 ::1:7000@17000 master - 0 1 2 connected\n" +
		"a8 fe80::a%eth0:7000@17000,,tls-port=0 master - 0 1 2 connected\n" +
		"a9 [2001:db8::1]:7000@17000 master - 0 1 2 connected\n" +
		"b1 10.0.0.8:7000 master - 0 1 2 connected\n" + // before Redis 4
		"b2 :7000@17000 master - 0 1 2 connected\n" +
		"b3 nothing master - 0 1 2 connected\n" +
		"a2 10.0.0.2:7000@17000 slave a1 0 1 2 connected\n" +
		"a3 10.0.0.3:7000@17000 master,fail - 0 1 2 disconnected\n" +
		"a4 10.0.0.4:7000@17000 master,fail? - 0 1 2 disconnected 101-200\n" +
		"a5 :0@0 master,noaddr - 0 1 2 disconnected\n" +
		"a6 10.0.0.6:7000@17000 handshake - 0 1 2 disconnected\n" +
		"short line\n"
	want := []node{
		{"a1", "10.0.0.1:7000"},
		{"a7", "[::1]:7000"}, {"a8", "[fe80::a%eth0]:7000"}, {"a9", "[2001:db8::1]:7000"},
		{"b1", "10.0.0.8:7000"}, {"b2", ":7000"}, {"b3", "nothing"}, // not left out: who cannot be reached is not heard
		{"a4", "10.0.0.4:7000"},
	}
	if got := parseNodes(text); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRoles(t *testing.T) {
	const info = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_pfail:0\r\ncluster_known_nodes:3\r\n" +
		"cluster_size:3\r\ncluster_current_epoch:3\r\ncluster_my_epoch:1\r\ncluster_stats_messages_sent:10\r\n"
	was := roles(info)
	if !was.ok {
		t.Error("state: got not ok, want ok")
	}
	for old, c := range map[string]struct {
		new  string
		same bool
	}{
		"sent:10":           {"sent:11", true},
		"pfail:0":           {"pfail:1", true},
		"state:ok":          {"state:fail", false},
		"assigned:16384":    {"assigned:16383", false},
		"nodes:3":           {"nodes:4", false},
		"size:3":            {"size:2", false},
		"current_epoch:3":   {"current_epoch:4", false},
		"my_epoch:1":        {"my_epoch:4", false},
		"current_epoch:3\r": {"current_epoch:3", true},
	} {
		if now := roles(strings.Replace(info, old, c.new, 1)); (now == was) != c.same {
			t.Errorf("%s for %s: same %t, want %t", c.new, old, now == was, c.same)
		}
	}
}
