package faults_test

import (
	"context"
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
	// replicaLag is how far a replica that runs may be behind on this machine.
	replicaLag = 250 * time.Millisecond
	// unreplicated is for how long the killed primary's replica is stopped before.
	unreplicated = 400 * time.Millisecond
)

// acknowledged is a write that returned nil. Each is of a key of its own, so that
// it can be seen in the end whether it still counts.
type acknowledged struct {
	key     string
	removed bool // not set
	at      time.Time
}

// failover is a cluster under load.
type failover struct {
	t        *testing.T
	cluster  *redistest.ClusterInstance
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
	f.replicas[victim].Stop()
	// Or what was sent to it would wait in its socket, and not be lost.
	if err := f.cluster.Node(victim).Client().ClientKillByFilter(t.Context(), "type", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	time.Sleep(unreplicated)
	f.cluster.Node(victim).Kill()
	f.replicas[victim].Cont()
	killed := time.Now()
	f.until("the replica takes over", 20*time.Second, func() bool { return f.hasTakenOver(victim) })
	over := time.Now()
	f.until("writes everywhere succeed, and all news are heard", 20*time.Second, func() bool { return f.well(over) })
	recovery := time.Since(over)
	time.Sleep(brief)
	f.end()
	f.load.Wait()
	c := f.count(victim, since)
	t.Logf("the replica took over after %v, and all was well %v later; %d writes returned nil, %d an error; lost: %d sets and %d removals of %d that the replica had not got, %d others",
		over.Sub(killed).Round(time.Millisecond), recovery.Round(time.Millisecond), len(f.writes), f.failed, c.sets, c.removals, c.window, c.others)
	if c.others > 0 {
		t.Errorf("%d writes are lost that the replica must have had, or that were of other primaries", c.others)
	}
	if c.sets == 0 || c.removals == 0 {
		t.Error("no set or no removal was lost, so the count tells nothing")
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
		f.until("contact", startTimeout, func() bool { return c.Contact().Serving })
	}
	for i := 0; i < presets; i += 2 {
		if err := f.views[0].Set(t.Context(), presetOf(i), 1, cache.EntryOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(replicaLag)
	return f
}

func presetOf(i int) string { return "preset" + strconv.Itoa(i) }

func (f *failover) until(what string, limit time.Duration, cond func() bool) {
	f.t.Helper()
	for began := time.Now(); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > limit {
			f.t.Fatalf("%s: not within %v", what, limit)
		}
	}
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
	a := acknowledged{key: "set" + strconv.Itoa(i), removed: i%2 == 0 && i < presets}
	var err error
	if a.removed {
		a.key = presetOf(i)
		err = f.views[0].Remove(ctx, a.key)
	} else {
		err = f.views[0].Set(ctx, a.key, 1, cache.EntryOptions{})
	}
	a.at = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed++ // it may have happened
		return false
	}
	f.writes = append(f.writes, a)
	return true
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
func (f *failover) count(victim int, since time.Time) (c losses) {
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
		late := a.at.After(since.Add(-replicaLag)) && a.at.Before(since.Add(unreplicated+replicaLag))
		if !late && !lost {
			continue
		}
		switch late = late && f.ownerOf(a.key) == victim; {
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

// ownerOf is the primary that had a key in the beginning.
func (f *failover) ownerOf(key string) int {
	f.t.Helper()
	slot, err := f.cluster.Node(0).Client().ClusterKeySlot(context.Background(), key).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	owner := primaries - 1
	for int(slot) < owner*slots/primaries {
		owner--
	}
	return owner
}
