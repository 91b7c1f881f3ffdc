package near

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
)

// watched is a primary with a replica in step and the sentinel that watches them.
type watched struct {
	primary, replica *redistest.Instance
	sentinel         *redis.SentinelClient
	addr             string // of the sentinel
}

const watchedName = "main"

// newWatched starts them.
func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{primary: redistest.Server(t, "--repl-diskless-sync-delay", "0")}
	host, port, err := net.SplitHostPort(w.primary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	w.replica = redistest.Server(t, "--replicaof", host, port)
	eventually(t, "a replica in step", func() bool {
		info, err := w.replica.Client().Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	w.addr = startSentinel(t, host, port)
	w.sentinel = redis.NewSentinelClient(&redis.Options{Addr: w.addr})
	t.Cleanup(func() { _ = w.sentinel.Close() })
	eventually(t, "a sentinel that knows the replica", func() bool {
		replicas, err := w.sentinel.Replicas(t.Context(), watchedName).Result()
		return err == nil && len(replicas) == 1 && replicas[0]["flags"] == "slave" && replicas[0]["master-link-status"] == "ok"
	})
	return w
}

// startSentinel starts a sentinel of its own quorum, and returns its address.
func startSentinel(t *testing.T, host, port string) string {
	t.Helper()
	addr := freeAddr(t)
	_, own, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 1\n"+
		"sentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 3000\n", own, dir, watchedName, host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return addr
}

// freeAddr returns a loopback address on which nobody listens now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// client returns a client that asks the sentinel where the primary is.
func (w *watched) client(t *testing.T) *redis.Client {
	c := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: watchedName, SentinelAddrs: []string{w.addr}, ContextTimeoutEnabled: true, DialTimeout: time.Second,
	})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// names reports whether the sentinel names s as the primary, and s agrees.
func (w *watched) names(t *testing.T, s *redistest.Instance) bool {
	addr, err := w.sentinel.GetMasterAddrByName(t.Context(), watchedName).Result()
	if err != nil || len(addr) != 2 || net.JoinHostPort(addr[0], addr[1]) != s.Addr() {
		return false
	}
	info, err := s.Client().Info(t.Context(), "replication").Result()
	return err == nil && strings.Contains(info, "role:master")
}

// listening returns how many near caches hear of changes on s.
func listening(t *testing.T, s *redistest.Instance) int {
	list, err := s.Client().ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(list, "name=larder-near")
}

// Near caches follow the primary that the sentinel names, and what they held before
// does not outlast the bound: if the old one is dead, and if it lives and has not been
// told yet, which takes ten seconds.
func TestSentinelFailover(t *testing.T) {
	kinds := map[string]func(*testing.T, *watched){
		"killed": func(_ *testing.T, w *watched) { w.primary.Kill() },
		"planned": func(t *testing.T, w *watched) {
			if err := w.sentinel.Failover(t.Context(), watchedName).Err(); err != nil {
				t.Fatal(err)
			}
		},
	}
	for kind, failover := range kinds {
		for _, mode := range []Mode{Bounded, Validate, Ack} {
			t.Run(kind+"/"+mode.String(), func(t *testing.T) { testFailover(t, mode, failover) })
		}
	}
}

func testFailover(t *testing.T, mode Mode, failover func(*testing.T, *watched)) {
	w := newWatched(t)
	const bound = 400 * time.Millisecond
	l := newLive(t, w.client(t), w.primary.Client(), Options{Mode: mode, Bound: bound})
	l.holdServed("k", "old")
	if n := listening(t, w.primary); n != 1 {
		t.Errorf("%d listen to the primary, want 1", n)
	}
	eventually(t, "the replica", func() bool {
		n, err := w.replica.Client().Exists(t.Context(), prefix+"k").Result()
		return err == nil && n == 1
	})

	failover(t, w)
	eventually(t, "another primary", func() bool { return w.names(t, w.replica) })
	l.must(w.replica.Client().Del(l.ctx, prefix+"k").Err())
	for end := time.Now().Add(bound); time.Now().Before(end); { // whatever it reads meanwhile
		_, _, _ = l.names.Get(l.ctx, "k")
	}
	if l.held("k") {
		t.Error("served from here a bound after the change")
	}
	if got, ok, err := l.names.Get(l.ctx, "k"); err == nil && ok {
		t.Errorf("Get = %q a bound after the change, want a miss", got)
	}

	l.eventually("contact", func() bool { return l.near.Contact().State == Connected })
	l.eventually("a listener at the new primary", func() bool { return listening(t, w.replica) == 1 })
	after, err := distributed.New(w.replica.Client(), &distributed.Options{Prefix: prefix, Budget: 5 * time.Second})
	l.must(err)
	defer func() { l.must(after.Close(l.ctx)) }()
	l.others = cache.NewTyped[string](after, nil)
	l.holdServed("k", "new")
	l.must(w.replica.Client().Del(l.ctx, prefix+"k").Err())
	l.eventually("the news", func() bool {
		_, ok, err := l.names.Get(l.ctx, "k")
		return err == nil && !ok
	})
}

// holdServed is hold with patience for a server that is new.
func (l *live) holdServed(key, value string) {
	l.t.Helper()
	l.eventually("a write", func() bool { return l.others.Set(context.Background(), key, value, cache.EntryOptions{}) == nil })
	l.eventually("a hit", func() bool {
		got, ok, err := l.names.Get(l.ctx, key)
		return err == nil && ok && got == value && l.held(key)
	})
}
