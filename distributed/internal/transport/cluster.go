package transport

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

// reloadPause is the least time between two requests for a new slot map.
const reloadPause = 250 * time.Millisecond

// clusterRouter sends each key to the primary of its slot.
//
// go-redis reads the slot map anew when a node redirects, but not when one is
// gone, and would go on asking the dead one for a minute (redis/go-redis#3979).
// So each failure to reach a node asks for a new map.
type clusterRouter struct {
	t      *Transport
	client *redis.ClusterClient
	nodes  nodeSet

	mapped   atomic.Bool  // whether there is a slot map: looking up is local
	reloaded atomic.Int64 // when the last reload was asked for, in ns
	seeds    *node        // stands for the cluster until there is a map

	mu      sync.Mutex
	finding *finding // the attempt under way
}

// finding is an attempt to get the first slot map.
type finding struct {
	done chan struct{}
	err  error // set before done is closed
}

func newClusterRouter(t *Transport, client *redis.ClusterClient) *clusterRouter {
	return &clusterRouter{t: t, client: client, nodes: nodeSet{t: t, create: client.Options().NewClient}, seeds: newNode(client, nil, &t.opts)}
}

func (r *clusterRouter) node(ctx context.Context, key string) (*node, error) {
	if !r.mapped.Load() {
		if r.seeds.guard.State() != breaker.Closed {
			return r.seeds, nil // to be refused
		}
		if err := r.findMap(ctx); err != nil {
			return nil, err
		}
	}
	client, err := r.client.MasterForKey(ctx, key)
	if err != nil {
		r.reload()
		return nil, unavailable(err) // no node is in charge of the slot
	}
	return r.nodes.get(client)
}

// findMap waits for the first slot map within the budget. Concurrent callers
// share an attempt.
func (r *clusterRouter) findMap(ctx context.Context) error {
	start := time.Now()
	r.mu.Lock()
	f := r.finding
	if f == nil {
		f = &finding{done: make(chan struct{})}
		if !r.t.spawn(func() { r.find(f) }) {
			r.mu.Unlock()
			return cache.ErrClosed
		}
		r.finding = f
	}
	r.mu.Unlock()
	select {
	case <-f.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.err == nil {
		return nil
	}
	return r.t.report(ctx, "cluster slots", start, unavailable(f.err))
}

func (r *clusterRouter) find(f *finding) {
	ctx, cancel := context.WithTimeout(context.Background(), r.t.opts.Budget)
	defer cancel()
	mark, _ := r.seeds.guard.Allow()
	_, f.err = r.client.MasterForKey(ctx, "")
	switch {
	case f.err == nil:
		r.mapped.Store(true)
		r.seeds.guard.Succeed()
	case ctx.Err() != nil || faultOf(f.err) == timedOut:
		r.seeds.guard.TimedOut(mark)
	default:
		r.seeds.guard.Fail()
	}
	r.mu.Lock()
	r.finding = nil
	r.mu.Unlock()
	close(f.done)
}

func (r *clusterRouter) known(key string) *node {
	if !r.mapped.Load() {
		return nil
	}
	client, err := r.client.MasterForKey(context.Background(), key)
	if err != nil {
		return nil
	}
	return r.nodes.find(client)
}

func (r *clusterRouter) all() []*node { return append(r.nodes.all(), r.seeds) }

func (r *clusterRouter) redirects(err error) bool {
	return redis.HasErrorPrefix(err, "MOVED ") || redis.HasErrorPrefix(err, "ASK ") || redis.HasErrorPrefix(err, "TRYAGAIN ")
}

func (r *clusterRouter) failed(f fault) {
	if f >= refused {
		r.reload()
	}
}

// reload asks for a new slot map, but not too often. It does not wait for it.
func (r *clusterRouter) reload() {
	now := time.Now().UnixNano()
	last := r.reloaded.Load()
	if now-last >= int64(reloadPause) && r.reloaded.CompareAndSwap(last, now) {
		r.client.ReloadState(context.Background())
	}
}

// once is a command that is never sent again after it may have been executed.
type once struct{ redis.Cmder }

// NoRetry returns true: go-redis then follows redirections but repeats nothing.
func (once) NoRetry() bool { return true }

// redirect runs a command that its node refused where the node points to. It
// asks for a new slot map, too.
func (t *Transport) redirect(ctx context.Context, start time.Time, cmd redis.Cmder) error {
	ctx, cancel := context.WithDeadline(ctx, start.Add(t.opts.Budget))
	defer cancel()
	cmd.SetErr(nil)
	err := t.client.Process(ctx, once{cmd})
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(errBudget, err)
	}
	return err
}
