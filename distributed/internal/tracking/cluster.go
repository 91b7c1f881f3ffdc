package tracking

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// connectCluster connects to every primary of a cluster, also to those that have
// no slots yet: a slot that is being moved there is read there already.
//
// The heartbeat of a node is CLUSTER INFO, and its answer must stay what it was
// in all that tells of roles. Whichever replica is elected had a higher epoch
// granted by the majority of the primaries, before it won; so not all of them can
// answer as before, and there is no Contact on top of a change of roles. And a
// node that has lost the majority says that the cluster is down. Not noticed is
// CLUSTER FAILOVER TAKEOVER, which asks nobody, until the nodes have heard of it;
// and an empty primary that was a replica when the connections were made.
func (s *session) connectCluster(ctx context.Context, client *redis.ClusterClient) error {
	var (
		mu      sync.Mutex
		servers []*redis.Options
	)
	err := client.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		servers = append(servers, node.Options())
		return nil
	})
	if err != nil {
		return err
	}
	for len(servers) > 0 {
		if err := s.add(ctx, servers, true); err != nil {
			return err
		}
		like := servers[0]
		if servers, err = s.missing(like); err != nil {
			return err
		}
	}
	if len(s.conns) == 0 {
		return fmt.Errorf("%w: no primaries", ErrTopology)
	}
	return nil
}

// missing returns the primaries that a connected one knows and none is connected
// to, to be reached like one that is.
func (s *session) missing(like *redis.Options) (servers []*redis.Options, err error) {
	known := make(map[string]bool)
	for _, c := range s.conns {
		if known[c.id] {
			return nil, fmt.Errorf("%w: one node has two addresses", ErrTopology)
		}
		known[c.id] = true
	}
	for _, c := range s.conns {
		nodes, err := c.ask("CLUSTER", "NODES")
		if err != nil {
			return nil, err
		}
		for _, n := range parseNodes(nodes.text) {
			if !known[n.id] {
				known[n.id] = true
				o := *like
				o.Addr = n.addr
				servers = append(servers, &o)
			}
		}
	}
	return servers, nil
}

// joinCluster notes which node this is and how it sees the cluster.
func (c *conn) joinCluster() error {
	if c.mode != "cluster" {
		return fmt.Errorf("%w: no cluster", ErrUnsupported) // slots that the client alone knows of
	}
	id, err := c.ask("CLUSTER", "MYID")
	if err != nil {
		return err
	}
	info, err := c.ask("CLUSTER", "INFO")
	if err != nil {
		return err
	}
	seen := roles(info.text)
	c.id = id.text
	c.question = appendCommand(nil, "CLUSTER", "INFO")
	c.check = func(r reply) error {
		if r.kind == '-' {
			return refused("CLUSTER INFO", r)
		}
		if now := roles(r.text); !now.ok || now != seen {
			return ErrTopology
		}
		return nil
	}
	return c.check(info)
}

// view is what CLUSTER INFO says about roles.
type view struct {
	ok     bool
	others string
}

// roles returns the view that is in the text of CLUSTER INFO.
func roles(info string) view {
	var v view
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		switch name {
		case "cluster_state":
			v.ok = value == "ok"
		case "cluster_slots_assigned", "cluster_known_nodes", "cluster_size", "cluster_current_epoch", "cluster_my_epoch":
			v.others += value + " "
		}
	}
	return v
}

type node struct{ id, addr string }

// parseNodes returns the live primaries in the text of CLUSTER NODES.
func parseNodes(text string) (primaries []node) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		flags := strings.Split(fields[2], ",")
		if !slices.Contains(flags, "master") || slices.Contains(flags, "fail") ||
			slices.Contains(flags, "handshake") || slices.Contains(flags, "noaddr") {
			continue
		}
		addr, _, _ := strings.Cut(fields[1], "@")
		primaries = append(primaries, node{fields[0], dialable(addr)})
	}
	return primaries
}

// dialable returns the address of a node as it is dialled: CLUSTER NODES writes
// IPv6 without brackets, as in ::1:7000.
func dialable(addr string) string {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 || addr[0] == '[' {
		return addr
	}
	return net.JoinHostPort(addr[:i], addr[i+1:])
}
