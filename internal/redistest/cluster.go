package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	clusterSlots   = 16384
	clusterTimeout = 30 * time.Second
)

// ClusterInstance is a Redis Cluster of primaries that a test owns.
type ClusterInstance struct {
	// Immutable.
	tb    testing.TB
	args  []string
	nodes []*Instance

	mu     sync.Mutex
	client *redis.ClusterClient
}

// Cluster starts a Redis Cluster of so many primaries, without replicas, and
// waits until every node knows the owner of every slot. args are given to each
// server, as with Server. It takes about two seconds. Without redis-server on
// PATH the test is skipped. Not for use in a synctest bubble.
func Cluster(tb testing.TB, primaries int, args ...string) *ClusterInstance {
	tb.Helper()
	c := &ClusterInstance{tb: tb}
	c.args = append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", "1000"}, args...)
	for range primaries {
		c.nodes = append(c.nodes, Server(tb, c.args...))
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterTimeout)
	defer cancel()
	if err := c.join(ctx); err != nil {
		tb.Fatalf("cannot form a cluster: %v", err)
	}
	if err := c.waitUntilFormed(ctx); err != nil {
		tb.Fatalf("the cluster does not come up: %v", err)
	}
	return c
}

// join gives each node its share of the slots and makes them meet.
func (c *ClusterInstance) join(ctx context.Context) error {
	first := c.nodes[0].Client()
	for i, n := range c.nodes {
		low, high := i*clusterSlots/len(c.nodes), (i+1)*clusterSlots/len(c.nodes)-1
		if err := n.Client().Do(ctx, "cluster", "set-config-epoch", i+1).Err(); err != nil {
			return err
		}
		if err := n.Client().ClusterAddSlotsRange(ctx, low, high).Err(); err != nil {
			return err
		}
		host, port, err := net.SplitHostPort(n.Addr())
		if err != nil {
			return err
		}
		if err := first.ClusterMeet(ctx, host, port).Err(); err != nil {
			return err
		}
	}
	return nil
}

func (c *ClusterInstance) waitUntilFormed(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := until(ctx, func() error { return c.formed(ctx, n) }); err != nil {
			return fmt.Errorf("%s: %w", n.Addr(), err)
		}
	}
	return nil
}

// until asks until nothing is lacking any more, or ctx ends.
func until(ctx context.Context, lacking func() error) error {
	for {
		err := lacking()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// formed returns what n still lacks.
func (c *ClusterInstance) formed(ctx context.Context, n *Instance) error {
	info, err := n.Client().ClusterInfo(ctx).Result()
	if err != nil {
		return err
	}
	for _, want := range []string{
		"cluster_state:ok\r", "cluster_slots_ok:16384\r", "cluster_known_nodes:" + strconv.Itoa(len(c.nodes)) + "\r",
	} {
		if !strings.Contains(info, want) {
			return fmt.Errorf("no %q in its cluster info", strings.TrimSpace(want))
		}
	}
	slots, err := n.Client().ClusterSlots(ctx).Result() //lint:ignore SA1019 servers before 7.0 have nothing else
	if err != nil {
		return err
	}
	owners := make(map[string]bool)
	for _, s := range slots {
		owners[s.Nodes[0].Addr] = true
	}
	if len(owners) != len(c.nodes) {
		return fmt.Errorf("it knows %d of %d owners of slots", len(owners), len(c.nodes))
	}
	return nil
}

// AddReplica starts a replica of the i-th primary and waits until it is in
// step with it. When the primary is killed it takes over after about two
// seconds. It is no Node of c.
func (c *ClusterInstance) AddReplica(i int) *Instance {
	c.tb.Helper()
	replica := Server(c.tb, c.args...)
	ctx, cancel := context.WithTimeout(context.Background(), clusterTimeout)
	defer cancel()
	if err := c.replicate(ctx, replica, c.nodes[i]); err != nil {
		c.tb.Fatalf("cannot add a replica: %v", err)
	}
	return replica
}

func (c *ClusterInstance) replicate(ctx context.Context, replica, primary *Instance) error {
	host, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		return err
	}
	id, err := primary.Client().Do(ctx, "cluster", "myid").Text()
	if err != nil {
		return err
	}
	if err := replica.Client().ClusterMeet(ctx, host, port).Err(); err != nil {
		return err
	}
	// Refused until the two have met.
	if err := until(ctx, func() error { return replica.Client().ClusterReplicate(ctx, id).Err() }); err != nil {
		return err
	}
	return until(ctx, func() error {
		info, err := replica.Client().Info(ctx, "replication").Result()
		if err == nil && !strings.Contains(info, "master_link_status:up") {
			err = errors.New("its link to the primary is not up")
		}
		return err
	})
}

// Addrs returns the address of every primary.
func (c *ClusterInstance) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// Node returns the i-th primary, from 0. Its share of the slots is the i-th too.
func (c *ClusterInstance) Node(i int) *Instance { return c.nodes[i] }

// Client returns a client of the cluster, the same at every call. It honours
// context deadlines, and is closed when the test ends.
func (c *ClusterInstance) Client() *redis.ClusterClient {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		c.client = redis.NewClusterClient(&redis.ClusterOptions{
			Addrs:                    c.Addrs(),
			ContextTimeoutEnabled:    true,
			DisableIdentity:          true,
			MaintNotificationsConfig: noMaintNotifications(),
		})
		c.tb.Cleanup(func() { _ = c.client.Close() })
	}
	return c.client
}
