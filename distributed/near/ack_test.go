package near

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/redistest"
)

func TestNothingStaleAfterAnAcknowledgedChange(t *testing.T) {
	for name, invalidate := range map[string]func(n *Cache) error{
		"remove": func(n *Cache) error { return n.Remove(context.Background(), "k") },
		"remove many": func(n *Cache) error {
			return n.RemoveMany(context.Background(), []string{"a", "k", "b"})
		},
		"write": func(n *Cache) error {
			mark, err := n.BeginWrite(context.Background(), "k", time.Minute)
			if err != nil {
				return err
			}
			return n.EndWrite(context.Background(), "k", mark)
		},
		"region":     func(n *Cache) error { return n.ExpireTokens(context.Background(), cache.RegionToken("hunt")) },
		"everything": func(n *Cache) error { return n.ExpireTokens(context.Background(), cache.GlobalToken()) },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Server(t)
			var nodes []*Cache
			for range 4 {
				nodes = append(nodes, nodeOf(t, clientOf(t, server.Addr()), Ack, time.Second))
			}
			awaitServing(t, nodes...)
			settle(t, nodes[0])
			var h hunt
			for _, n := range nodes {
				h.read(t, n, "k")
			}
			took := h.change(t, rounds(400), func() error { return invalidate(nodes[0]) })
			h.end()
			t.Logf("%d reads, %d hits, call: median %v, p99 %v; ended by a lease: %d",
				h.reads.Load(), h.hits.Load(), quantile(took, 0.5), quantile(took, 0.99), nodes[0].acks.lapsed.Load())
			h.wantNone(t)
			if h.hits.Load() == 0 {
				t.Error("no read was served from here: the test shows nothing")
			}
		})
	}
}

// The same without acknowledgements must be seen to fail, or the test above proves
// nothing.
func TestWithoutAcknowledgementsSomethingIsStale(t *testing.T) {
	server := redistest.Server(t)
	var nodes []*Cache
	for range 4 {
		nodes = append(nodes, nodeOf(t, clientOf(t, server.Addr()), Bounded, time.Second))
	}
	awaitServing(t, nodes...)
	var h hunt
	for _, n := range nodes {
		h.read(t, n, "k")
	}
	for i := 0; i < 200 && h.staleHits.Load() == 0; i++ {
		h.change(t, 20, func() error { return nodes[0].Remove(context.Background(), "k") })
	}
	h.end()
	if h.staleHits.Load() == 0 {
		t.Error("no stale hit was seen")
	}
}

// One node's connections fail in every way while the others go on.
func TestNothingStaleWhileANodeIsInTrouble(t *testing.T) {
	const bound = 300 * time.Millisecond
	all := func(bool) bool { return true }
	none := func(bool) bool { return false }
	tracking := func(tracking bool) bool { return tracking }
	others := func(tracking bool) bool { return !tracking }
	for name, trouble := range map[string]func(p *proxy, n *Cache, over <-chan struct{}){
		"tracking cut": func(p *proxy, _ *Cache, _ <-chan struct{}) { p.cut(false) },
		"all cut":      func(p *proxy, _ *Cache, _ <-chan struct{}) { p.cut(true) },
		"tracking swallowed": func(p *proxy, _ *Cache, over <-chan struct{}) {
			p.hole(tracking)
			<-over
			p.hole(none)
		},
		"calls swallowed": func(p *proxy, _ *Cache, over <-chan struct{}) {
			p.hole(others)
			<-over
			p.hole(none)
		},
		"all swallowed": func(p *proxy, _ *Cache, over <-chan struct{}) {
			p.hole(all)
			<-over
			p.hole(none)
		},
		// Its readers go on while it does not get round to hearing anything.
		"stalled": func(_ *proxy, n *Cache, over <-chan struct{}) {
			s := n.guard.shard("k")
			s.mu.Lock()
			<-over
			s.mu.Unlock()
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Server(t)
			p := newProxy(t, server.Addr())
			sick := nodeOf(t, clientOf(t, p.addr()), Ack, bound)
			well := []*Cache{
				nodeOf(t, clientOf(t, server.Addr()), Ack, bound),
				nodeOf(t, clientOf(t, server.Addr()), Ack, bound),
			}
			awaitServing(t, append(well, sick)...)
			settle(t, well[0])
			var h hunt
			for _, n := range append(well, sick) {
				h.read(t, n, "k")
			}
			for range max(rounds(10), 2) {
				awaitServing(t, sick)
				over, ended := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(ended)
					trouble(p, sick, over)
				}()
				took := h.change(t, 10, func() error { return well[0].Remove(context.Background(), "k") })
				if worst := slices.Max(took); worst > bound+500*time.Millisecond {
					t.Errorf("a change took %v, want at most the bound, %v, and a little", worst, bound)
				}
				close(over)
				<-ended
			}
			awaitServing(t, sick)
			h.end()
			t.Logf("%d reads, %d hits, ended by a lease: %d", h.reads.Load(), h.hits.Load(), well[0].acks.lapsed.Load())
			// A node without the server shares loads that it cannot know to be void;
			// what it serves from here is what this is about.
			if h.staleHits.Load() != 0 {
				t.Errorf("stale hits: got %d, up to %v late, want 0", h.staleHits.Load(), time.Duration(h.worst.Load()))
			}
		})
	}
}

func TestALostRegistryMakesChangesWait(t *testing.T) {
	t.Parallel() // it mostly waits
	const bound = 300 * time.Millisecond
	server := redistest.Server(t)
	nodes := []*Cache{
		nodeOf(t, clientOf(t, server.Addr()), Ack, bound), nodeOf(t, clientOf(t, server.Addr()), Ack, bound),
	}
	awaitServing(t, nodes...)
	settle(t, nodes[0])
	registry := nodes[0].tier.Channel(registryName)
	if err := server.Client().Del(context.Background(), registry).Err(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := nodes[0].Remove(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	// It was lost a moment before start, and found anew soon after by a renewal.
	if took := time.Since(start); took < bound-bound/10 || took > 3*bound {
		t.Errorf("the change took %v, want about a lease, %v", took, bound)
	}
	start = time.Now()
	if err := nodes[0].Remove(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > bound/2 {
		t.Errorf("the next change took %v, want no waiting", took)
	}
	var h hunt
	for _, n := range nodes {
		h.read(t, n, "k")
	}
	for range max(rounds(20), 3) {
		if err := server.Client().FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		h.change(t, 1, func() error { return nodes[0].Remove(context.Background(), "k") })
	}
	h.end()
	h.wantNone(t)
}

// A call that cannot wait says that the change is made and not acknowledged.
func TestACallThatEndsBeforeTheAcknowledgement(t *testing.T) {
	t.Parallel() // it mostly waits
	server := redistest.Server(t)
	p := newProxy(t, server.Addr())
	sick := nodeOf(t, clientOf(t, p.addr()), Ack, 3*time.Second)
	well := nodeOf(t, clientOf(t, server.Addr()), Ack, 3*time.Second)
	awaitServing(t, sick, well)
	settle(t, well)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := well.Set(context.Background(), "k", []byte("v"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	p.hole(func(bool) bool { return true })
	err := well.Remove(ctx, "k")
	p.hole(func(bool) bool { return false })
	if !errors.Is(err, ErrUnacknowledged) || !errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
		t.Errorf("Remove: got %v, want ErrUnacknowledged and DeadlineExceeded", err)
	}
	if _, found, err := well.Get(context.Background(), "k"); found || err != nil {
		t.Errorf("Get: got %t, %v, want it to be removed", found, err)
	}
}

// Who leaves is not waited for.
func TestClosedNodesAreNotWaitedFor(t *testing.T) {
	const bound = 3 * time.Second
	server := redistest.Server(t)
	stays := nodeOf(t, clientOf(t, server.Addr()), Ack, bound)
	leaves := nodeOf(t, clientOf(t, server.Addr()), Ack, bound)
	awaitServing(t, stays, leaves)
	settle(t, stays)
	if err := leaves.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := stays.Remove(context.Background(), "k"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > bound/2 {
		t.Errorf("the change took %v: it waited for one that had left", took)
	}
	if err := leaves.Remove(context.Background(), "k"); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("Remove on a closed cache: got %v, want ErrClosed", err)
	}
}

func TestAcknowledgementsInACluster(t *testing.T) {
	cluster := redistest.Cluster(t, 3)
	var nodes []*Cache
	for range 3 {
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: cluster.Addrs(), ContextTimeoutEnabled: true, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		t.Cleanup(func() { _ = client.Close() })
		nodes = append(nodes, nodeOf(t, client, Ack, time.Second))
	}
	awaitServing(t, nodes...)
	settle(t, nodes[0])
	lapsed := nodes[0].acks.lapsed.Load()
	for i := range 3 { // keys of several primaries
		key := "k" + strconv.Itoa(i)
		var h hunt
		for _, n := range nodes {
			h.read(t, n, key)
		}
		took := h.change(t, rounds(200), func() error { return nodes[0].Remove(context.Background(), key) })
		h.end()
		t.Logf("%d reads, %d hits, call: median %v, p99 %v", h.reads.Load(), h.hits.Load(), quantile(took, 0.5), quantile(took, 0.99))
		h.wantNone(t)
	}
	if n := nodes[0].acks.lapsed.Load() - lapsed; n != 0 {
		t.Errorf("waits that a lease ended: got %d, want 0", n)
	}
}

// BenchmarkAcknowledgedRemove is one call at a time, and many that share barriers.
func BenchmarkAcknowledgedRemove(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8} {
		server := redistest.Server(b)
		var nodes []*Cache
		for range n {
			nodes = append(nodes, nodeOf(b, clientOf(b, server.Addr()), Ack, time.Second))
		}
		awaitServing(b, nodes...)
		settle(b, nodes[0])
		b.Run(fmt.Sprintf("nodes=%d", n), func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				start := time.Now()
				if err := nodes[0].Remove(context.Background(), "k"); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			b.ReportMetric(float64(quantile(took, 0.5).Microseconds()), "p50-us")
			b.ReportMetric(float64(quantile(took, 0.99).Microseconds()), "p99-us")
		})
		b.Run(fmt.Sprintf("nodes=%d/callers=64", n), func(b *testing.B) {
			b.SetParallelism(32)
			before := nodes[0].acks.barriers()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := nodes[0].Remove(context.Background(), "k"); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/float64(nodes[0].acks.barriers()-before), "calls/barrier")
		})
	}
}

// barriers returns how many barriers there were.
func (a *acks) barriers() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}
