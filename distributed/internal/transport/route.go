package transport

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/larder-go/larder/cache"
	"github.com/redis/go-redis/v9"
)

// router finds the node in charge of a key.
type router interface {
	// node returns it. It may ask the servers for it, within the budget.
	node(ctx context.Context, key string) (*node, error)

	// known returns it if that takes no round trip, or else nil.
	known(key string) *node

	// all returns the nodes that were in use so far.
	all() []*node

	// redirects reports whether err sends a command to another node.
	redirects(err error) bool

	// failed hears of what became of a command.
	failed(f fault)
}

func newRouter(t *Transport, client redis.UniversalClient) router {
	switch c := client.(type) {
	case *redis.ClusterClient:
		return newClusterRouter(t, c)
	case *redis.Ring:
		return &ringRouter{client: c, nodes: nodeSet{t: t, create: c.Options().NewClient}}
	}
	n := newNode(client, nil, &t.opts)
	n.mget = t.own
	return &oneNode{n}
}

// oneNode is the router of a single server.
type oneNode struct{ only *node }

func (r *oneNode) node(context.Context, string) (*node, error) { return r.only, nil }
func (r *oneNode) known(string) *node                          { return r.only }
func (r *oneNode) all() []*node                                { return []*node{r.only} }
func (r *oneNode) redirects(error) bool                        { return false }
func (r *oneNode) failed(fault)                                {}

// nodeSet keeps a node for each client that a cluster or ring has given out.
type nodeSet struct {
	t      *Transport
	create func(*redis.Options) *redis.Client // makes clients like those

	mu      sync.Mutex
	current atomic.Pointer[map[*redis.Client]*node] // replaced as a whole under mu
}

func (s *nodeSet) find(client *redis.Client) *node {
	if m := s.current.Load(); m != nil {
		return (*m)[client]
	}
	return nil
}

// get returns the client's node, and makes it if there is none.
func (s *nodeSet) get(client *redis.Client) (*node, error) {
	if n := s.find(client); n != nil {
		return n, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.find(client); n != nil {
		return n, nil
	}
	if s.t.isClosed() {
		return nil, cache.ErrClosed
	}
	if m := s.current.Load(); m != nil {
		for c := range *m { // the new server may stand in for one that left
			if isClosed(c) {
				s.dropLocked(c)
			}
		}
	}
	n := newNode(client, s.create, &s.t.opts)
	n.onGone = func() { s.drop(client) }
	s.replaceLocked(client, n)
	return n, nil
}

func (s *nodeSet) replaceLocked(client *redis.Client, n *node) {
	next := make(map[*redis.Client]*node)
	if m := s.current.Load(); m != nil {
		for c, old := range *m {
			next[c] = old
		}
	}
	if n != nil {
		next[client] = n
	} else {
		delete(next, client)
	}
	s.current.Store(&next)
}

// drop lets go of the node of a client that was closed because its server left
// the cluster.
func (s *nodeSet) drop(client *redis.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(client)
}

func (s *nodeSet) dropLocked(client *redis.Client) {
	n := s.find(client)
	if n == nil || !s.t.spawn(func() { _ = n.wait(context.Background()) }) {
		return
	}
	s.replaceLocked(client, nil)
	n.close()
}

func (s *nodeSet) all() []*node {
	s.mu.Lock() // after Close this waits for who is just adding one
	defer s.mu.Unlock()
	var list []*node
	if m := s.current.Load(); m != nil {
		for _, n := range *m {
			list = append(list, n)
		}
	}
	return list
}

// ringRouter sends each key to the shard that the ring chose.
type ringRouter struct {
	client *redis.Ring
	nodes  nodeSet
}

func (r *ringRouter) node(_ context.Context, key string) (*node, error) {
	client, err := r.client.GetShardClientForKey(key)
	if err != nil {
		return nil, unavailable(err) // every shard is down
	}
	return r.nodes.get(client)
}

func (r *ringRouter) known(key string) *node {
	client, err := r.client.GetShardClientForKey(key)
	if err != nil {
		return nil
	}
	return r.nodes.find(client)
}

func (r *ringRouter) all() []*node         { return r.nodes.all() }
func (r *ringRouter) redirects(error) bool { return false }
func (r *ringRouter) failed(fault)         {}
