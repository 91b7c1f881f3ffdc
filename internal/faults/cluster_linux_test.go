package faults_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/internal/swarmtest"
)

const (
	primaries = 3
	slots     = 16384
	presets   = 4_000 // every second of these keys is there to be removed
	writers   = 4
	// unreplicated is how many sets, and removals, at the least the replica does not
	// get.
	unreplicated = 20
)

// acknowledged is a write that returned nil. Each is of a key of its own, so that
// it can be seen in the end whether it still counts.
type acknowledged struct {
	key          string
	owner        int  // the primary that had it in the beginning
	removed      bool // not set
	began, ended time.Time
}

// gap is when the replica got nothing: it has what had been acknowledged before
// begin, and what began after end was not acknowledged by the primary it replaced.
type gap struct{ begin, end time.Time }

// tag is a hash tag for keys, and the primary that its slot belongs to in the
// beginning.
type tag struct {
	text  string
	owner int
}

// failover is a cluster under load.
type failover struct {
	t        *testing.T
	cluster  *redistest.ClusterInstance
	tags     []tag
	replicas [primaries]*redistest.Instance
	nears    [2]*near.Cache // the first writes, both read
	views    [2]*cache.Typed[int64]
	load     sync.WaitGroup
	end      context.CancelFunc

	mu     sync.Mutex
	next   int // key
	writes []acknowledged
	failed int
}

// A primary is killed while it is written to. Redis may lose what its replica had
// not got yet, and nothing else.
func TestFailoverLosesOnlyWhatWasNotReplicated(t *testing.T) {
	skipIfShort(t)
	running := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, running) }) // after all that is closed or ended
	f := newFailover(t)
	f.start()
	time.Sleep(brief)
	const victim = 1
	var g gap
	g.begin = f.replicated(victim)
	f.replicas[victim].Stop()
	// Or what was sent to it would wait in its socket, and not be lost.
	if err := f.cluster.Node(victim).Client().ClientKillByFilter(t.Context(), "type", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	until(t, "enough is written that the replica does not get", func() bool {
		sets, removals := f.writtenTo(victim, stopped)
		return sets >= unreplicated && removals >= unreplicated
	})
	f.cluster.Node(victim).Kill()
	g.end = time.Now()
	f.replicas[victim].Cont()
	until(t, "the replica takes over", func() bool { return f.hasTakenOver(victim) })
	over := time.Now()
	until(t, "writes everywhere succeed, and all news are heard", func() bool { return f.well(over) })
	recovery := time.Since(over)
	time.Sleep(brief)
	f.end()
	f.load.Wait()
	c := f.count(victim, g)
	t.Logf("the replica took over after %v, and all was well %v later; %d writes returned nil, %d an error; lost: %d sets and %d removals of %d that the replica had not got, %d others",
		over.Sub(g.end).Round(time.Millisecond), recovery.Round(time.Millisecond), len(f.writes), f.failed, c.sets, c.removals, c.window, c.others)
	if c.others > 0 {
		t.Errorf("%d writes are lost that the replica must have had, or that were of other primaries", c.others)
	}
	if c.sets < unreplicated || c.removals < unreplicated {
		t.Errorf("%d sets and %d removals were lost, and the replica cannot have got %d of each, so the count tells nothing", c.sets, c.removals, unreplicated)
	}
	if recovery > recoveryLimit {
		t.Errorf("recovery took %v, want %v at most", recovery, recoveryLimit)
	}
}

func newFailover(t *testing.T) *failover {
	t.Helper()
	f := &failover{t: t, cluster: redistest.Cluster(t, primaries, "--repl-diskless-sync-delay", "0")}
	for i := range f.replicas {
		f.replicas[i] = f.cluster.AddReplica(i)
	}
	for i := range 31 { // odd, for both kinds of writes to get all
		text := strconv.Itoa(i)
		slot, err := f.cluster.Node(0).Client().ClusterKeySlot(t.Context(), text).Result()
		if err != nil {
			t.Fatal(err)
		}
		f.tags = append(f.tags, tag{text, ownerOf(int(slot))})
	}
	for i := range f.nears {
		client := redis.NewClusterClient(&redis.ClusterOptions{
			Addrs: f.cluster.Addrs(), ContextTimeoutEnabled: true, DisableIdentity: true,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
		c, err := near.New(client, &near.Options{Bound: bound, Remote: distributed.Options{
			CloseClient: true, Defaults: cache.EntryOptions{TTL: time.Hour}, Budget: time.Second,
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		f.nears[i], f.views[i] = c, cache.NewTyped[int64](c, nil)
		until(t, "contact", func() bool { return c.Contact().Serving })
	}
	for i := 0; i < presets; i += 2 {
		if err := f.views[0].Set(t.Context(), f.key("preset", i), 1, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// ownerOf is the primary that has a slot in the beginning.
func ownerOf(slot int) int {
	owner := primaries - 1
	for slot < owner*slots/primaries {
		owner--
	}
	return owner
}

// key is the i-th key of a kind.
func (f *failover) key(kind string, i int) string {
	return "{" + f.tags[i%len(f.tags)].text + "}" + kind + strconv.Itoa(i)
}

// start starts writers, and readers that hold what is written.
func (f *failover) start() {
	ctx, end := context.WithCancel(context.Background())
	f.end = end
	for range writers {
		f.load.Go(func() {
			for ctx.Err() == nil {
				f.write()
				_ = swarmtest.Pause(ctx, 4*time.Millisecond)
			}
		})
	}
	for r := range f.views {
		f.load.Go(func() {
			for ctx.Err() == nil {
				f.mu.Lock()
				var key string
				if len(f.writes) > 0 {
					key = f.writes[len(f.writes)-1].key
				}
				f.mu.Unlock()
				call, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
				_, _, _ = f.views[r].Get(call, key) // what it finds is seen in the end
				cancel()
				_ = swarmtest.Pause(ctx, time.Millisecond)
			}
		})
	}
}

// write sets a new key, or removes a preset one, and reports whether that returned
// nil.
func (f *failover) write() bool {
	f.mu.Lock()
	i := f.next
	f.next++
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	a := acknowledged{owner: f.tags[i%len(f.tags)].owner, removed: i%2 == 0 && i < presets, began: time.Now()}
	var err error
	if a.removed {
		a.key = f.key("preset", i)
		err = f.views[0].Remove(ctx, a.key)
	} else {
		a.key = f.key("set", i)
		err = f.views[0].Set(ctx, a.key, 1, cache.EntryOptions{})
	}
	a.ended = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed++ // it may have happened
		return false
	}
	f.writes = append(f.writes, a)
	return true
}

// replicated returns a moment, and has made sure that the replica of a primary has
// got what had been acknowledged by then.
func (f *failover) replicated(primary int) time.Time {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	began := time.Now()
	conn := f.cluster.Node(primary).Client().Conn() // WAIT is for what this connection has written
	defer conn.Close()
	i := slices.IndexFunc(f.tags, func(t tag) bool { return t.owner == primary })
	if err := conn.Set(ctx, f.key("replicated", i), 1, 0).Err(); err != nil {
		f.t.Fatal(err)
	}
	if n, err := conn.Wait(ctx, 1, startTimeout).Result(); n != 1 || err != nil {
		f.t.Fatalf("got %d replicas, %v; want 1", n, err)
	}
	return began
}

// writtenTo counts what a primary has acknowledged of what began after t.
func (f *failover) writtenTo(primary int, t time.Time) (sets, removals int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.writes {
		switch {
		case a.owner != primary || a.began.Before(t):
		case a.removed:
			removals++
		default:
			sets++
		}
	}
	return sets, removals
}

// hasTakenOver reports whether the victim's replica is the primary, and every other
// primary says that the cluster is up with it.
func (f *failover) hasTakenOver(victim int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	nodes := []*redistest.Instance{f.replicas[victim]}
	for i := range primaries {
		if i != victim {
			nodes = append(nodes, f.cluster.Node(i))
		}
	}
	for _, n := range nodes {
		info, err := n.Client().ClusterInfo(ctx).Result()
		if err != nil || !strings.Contains(info, "cluster_state:ok\r") {
			return false
		}
	}
	role, err := f.replicas[victim].Client().Do(ctx, "role").Slice()
	return err == nil && len(role) > 0 && role[0] == "master"
}

// well reports whether writes on all primaries succeed, no removal waits, and the
// near caches have heard of everything at some moment after t.
func (f *failover) well(t time.Time) bool {
	for _, c := range f.nears {
		if n := c.Contact(); n.State != near.Connected || !n.Serving || !n.AsOf.After(t) || c.NearStats().Intents > 0 {
			return false
		}
	}
	for range 20 {
		if !f.write() {
			return false
		}
	}
	return true
}

// losses are writes that returned nil and do not count any more.
type losses struct {
	sets, removals int // that the replica had not got
	window         int // writes that it had not got, lost or not
	others         int
}

// count looks for all writes on the server, and whether the near caches agree.
func (f *failover) count(victim int, g gap) (c losses) {
	f.t.Helper()
	ctx := context.Background()
	incoherent := 0
	for _, a := range f.writes {
		_, found, err := f.nears[0].Get(ctx, a.key)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, view := range f.views {
			if _, here, err := view.Get(ctx, a.key); err != nil || here != found {
				incoherent++
			}
		}
		lost := found == a.removed
		late := a.ended.After(g.begin) && a.began.Before(g.end)
		if !late && !lost {
			continue
		}
		switch late = late && a.owner == victim; {
		case late && lost && a.removed:
			c.removals++
		case late && lost:
			c.sets++
		case lost:
			c.others++
		}
		if late {
			c.window++
		}
	}
	if incoherent > 0 {
		f.t.Errorf("%d reads through near caches found something else than the server has", incoherent)
	}
	return c
}
