package distributed_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	miniserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

func ping(t *testing.T, client redis.UniversalClient) distributed.Health {
	t.Helper()
	h, err := open(t, client, distributed.Options{Prefix: "p:"}).Ping(t.Context())
	must(t, err)
	return h
}

func wantWarnings(t *testing.T, h distributed.Health, want ...distributed.Warning) {
	t.Helper()
	if got := h.Warnings(); !slices.Equal(got, want) {
		t.Errorf("got warnings %v, want %v", got, want)
	}
}

func TestPingOfAServer(t *testing.T) {
	s := redistest.Server(t, "--appendonly", "yes")
	h := ping(t, s.Client())
	wantWarnings(t, h)
	if len(h.Nodes) != 1 {
		t.Fatalf("got %d nodes, want 1", len(h.Nodes))
	}
	n := h.Nodes[0]
	if n.Addr != s.Addr() || n.Role != "master" || !strings.Contains(n.Version, ".") || n.Latency <= 0 {
		t.Errorf("got %+v", n)
	}
}

func TestPingWarns(t *testing.T) {
	ctx := t.Context()
	s := redistest.Server(t, "--appendonly", "yes")
	client := s.Client()
	configure := func(name, value string) { must(t, client.ConfigSet(ctx, name, value).Err()) }

	configure("maxmemory-policy", "allkeys-lru")
	wantWarnings(t, ping(t, client)) // there is no limit to enforce
	configure("maxmemory", "100mb")
	wantWarnings(t, ping(t, client), distributed.Warning{Kind: distributed.WarnMayEvict, Detail: "allkeys-lru"})
	configure("maxmemory-policy", "noeviction")
	wantWarnings(t, ping(t, client))

	configure("appendonly", "no")
	wantWarnings(t, ping(t, client), distributed.Warning{Kind: distributed.WarnNotPersistent, Detail: "appendonly no, no snapshots"})
	configure("save", "3600 1")
	wantWarnings(t, ping(t, client))

	must(t, client.Do(ctx, "replicaof", "127.0.0.1", "1").Err())
	wantWarnings(t, ping(t, client), distributed.Warning{Kind: distributed.WarnReplica, Detail: "slave"})
}

func TestPingOfALimitedUser(t *testing.T) {
	ctx := t.Context()
	s := redistest.Server(t, "--appendonly", "yes")
	as := func(rules ...any) *redis.Client {
		must(t, s.Client().Do(ctx, append([]any{"acl", "setuser", "u", "reset", "on", "nopass", "~*"}, rules...)...).Err())
		o := *s.Client().Options()
		o.Username, o.Password = "u", "x"
		client := redis.NewClient(&o)
		t.Cleanup(func() { _ = client.Close() })
		return client
	}
	wantWarnings(t, ping(t, as("+@all", "-evalsha", "-pexpire")),
		distributed.Warning{Kind: distributed.WarnDenied, Detail: "PEXPIRE"},
		distributed.Warning{Kind: distributed.WarnDenied, Detail: "EVALSHA"})
	// Who may not ask is not told, and that is no error.
	h := ping(t, as("+@read", "+@write", "+@connection", "+ping", "+@scripting"))
	wantWarnings(t, h,
		distributed.Warning{Kind: distributed.WarnUnknown, Detail: "maxmemory-policy"},
		distributed.Warning{Kind: distributed.WarnUnknown, Detail: "version"},
		distributed.Warning{Kind: distributed.WarnUnknown, Detail: "role"},
		distributed.Warning{Kind: distributed.WarnUnknown, Detail: "persistence"},
		distributed.Warning{Kind: distributed.WarnUnknown, Detail: "acl"})
}

func TestPingOfACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster takes two seconds to start")
	}
	cluster := redistest.Cluster(t, 3)
	h := ping(t, cluster.Client())
	if len(h.Nodes) != 3 || !slices.IsSortedFunc(h.Nodes, func(a, b distributed.Node) int { return strings.Compare(a.Addr, b.Addr) }) {
		t.Fatalf("got %+v, want three nodes in order", h.Nodes)
	}
	for _, n := range h.Nodes {
		if n.Role != "master" {
			t.Errorf("got %+v", n)
		}
		for _, w := range n.Warnings {
			if w.Kind != distributed.WarnNotPersistent {
				t.Errorf("got warning %v", w)
			}
		}
	}
}

// miniredis tells almost nothing about itself.
func TestPingOfALookAlike(t *testing.T) {
	h := ping(t, redistest.MiniClient(t, redistest.Mini(t)))
	for _, w := range h.Warnings() {
		if w.Kind != distributed.WarnUnknown {
			t.Errorf("got %v, want unknown only", w)
		}
	}
	if len(h.Warnings()) == 0 {
		t.Error("got no warnings, want to be told what is unknown")
	}
}

func TestPingReadsWhatServersSay(t *testing.T) {
	m := redistest.Mini(t)
	client := redistest.MiniClient(t, m)
	must(t, client.Ping(t.Context()).Err())
	m.Server().SetPreHook(func(p *miniserver.Peer, cmd string, args ...string) bool {
		switch cmd {
		case "INFO":
			p.WriteBulk("# Server\r\nredis_version:6.2.14\r\n\r\nrole:master\r\naof_enabled:1\r\n" +
				"maxmemory:1\r\nmaxmemory_policy:volatile-ttl\r\ncluster_enabled:1\r\n")
		case "CLUSTER":
			p.WriteBulk("cluster_state:fail\r\ncluster_slots_assigned:16384\r\n")
		case "ACL":
			if strings.EqualFold(args[0], "whoami") {
				p.WriteBulk("default")
			} else {
				p.WriteError("ERR Unknown subcommand or wrong number of arguments for 'dryrun'. Try ACL HELP.")
			}
		default:
			return false
		}
		return true
	})
	wantWarnings(t, ping(t, client),
		distributed.Warning{Kind: distributed.WarnMayEvict, Detail: "volatile-ttl"},
		distributed.Warning{Kind: distributed.WarnOldServer, Detail: "6.2.14"},
		distributed.Warning{Kind: distributed.WarnClusterState, Detail: "fail"},
		distributed.Warning{Kind: distributed.WarnUnknown, Detail: "acl"})
}

func TestPingWithoutAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		var l line
		l.down.Store(true)
		c := open(t, l.client(t, m), distributed.Options{Budget: 100 * time.Millisecond})
		start := time.Now()
		_, err := c.Ping(t.Context())
		wantErr(t, err, cache.ErrUnavailable)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("it took %v, more than the budget", took)
		}
		for range 5 { // open the breaker
			_, _, _ = c.Get(t.Context(), "k")
		}
		l.down.Store(false)
		if _, err := c.Ping(t.Context()); err != nil {
			t.Errorf("past the open breaker: got %v, want an answer", err)
		}
	})
}

func TestPingOfAHangingServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := redistest.Mini(t)
		c := open(t, redistest.MiniClient(t, m), distributed.Options{Budget: 100 * time.Millisecond})
		wantMiss(t, c, "other") // connects
		hang := make(chan struct{})
		watch(m, func(string) { <-hang })
		defer close(hang)
		start := time.Now()
		_, err := c.Ping(t.Context())
		wantErr(t, err, cache.ErrUnavailable)
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("it took %v, want the budget", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err = c.Ping(ctx)
		wantErr(t, err, context.DeadlineExceeded)
		if took := time.Since(start); took != 130*time.Millisecond {
			t.Errorf("both took %v, want 130 ms", took)
		}
	})
}

func TestWarningKindsHaveNames(t *testing.T) {
	seen := make(map[string]bool)
	for k := distributed.WarnUnknown; k <= distributed.WarnNotPersistent; k++ {
		if name := k.String(); seen[name] || strings.Contains(name, "(") {
			t.Errorf("kind %d is called %q", k, name)
		}
		seen[k.String()] = true
	}
	if got := fmt.Sprint(distributed.WarningKind(99)); got != "WarningKind(99)" {
		t.Errorf("got %q", got)
	}
}
