package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// SentinelInstance is a primary with a replica in step and the sentinel that
// watches them, which end with their test.
type SentinelInstance struct {
	Primary, Replica *Instance // as they are at first

	tb       testing.TB
	addr     string
	sentinel *redis.SentinelClient
}

// masterName is what the sentinel calls the primary.
const masterName = "main"

// Sentinel starts a primary, a replica, and a sentinel that is a quorum by itself.
// It skips the test where there is no redis-server on PATH.
func Sentinel(tb testing.TB) *SentinelInstance {
	tb.Helper()
	s := &SentinelInstance{tb: tb, Primary: Server(tb, "--repl-diskless-sync-delay", "0")}
	host, port, err := net.SplitHostPort(s.Primary.Addr())
	if err != nil {
		tb.Fatal(err)
	}
	s.Replica = Server(tb, "--replicaof", host, port)
	s.eventually("a replica in step", func() bool {
		info, err := s.Replica.Client().Info(tb.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	s.addr = startSentinel(tb, host, port)
	s.sentinel = redis.NewSentinelClient(&redis.Options{Addr: s.addr})
	tb.Cleanup(func() { _ = s.sentinel.Close() })
	s.eventually("a sentinel that knows the replica", func() bool {
		replicas, err := s.sentinel.Replicas(tb.Context(), masterName).Result()
		return err == nil && len(replicas) == 1 && replicas[0]["flags"] == "slave" && replicas[0]["master-link-status"] == "ok"
	})
	return s
}

// startSentinel starts a sentinel that watches the primary at host and port, and
// returns its address.
func startSentinel(tb testing.TB, host, port string) string {
	tb.Helper()
	addr, dir := freeAddr(tb), tb.TempDir()
	_, own, err := net.SplitHostPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	conf := filepath.Join(dir, "sentinel.conf") // it writes there
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor %s %s %s 1\n"+
		"sentinel down-after-milliseconds %[3]s 500\nsentinel failover-timeout %[3]s 3000\n", own, dir, masterName, host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("redis-server", conf, "--sentinel")
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return addr
}

// eventually waits until cond holds.
func (s *SentinelInstance) eventually(what string, cond func() bool) {
	s.tb.Helper()
	for deadline := time.Now().Add(startTimeout); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.tb.Fatalf("no %s within %v", what, startTimeout)
		}
	}
}

// Addr returns the host:port of the sentinel, which calls the primary main.
func (s *SentinelInstance) Addr() string { return s.addr }

// Client returns a new client that asks the sentinel where the primary is. It is
// closed when the test ends.
func (s *SentinelInstance) Client() *redis.Client {
	c := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: masterName, SentinelAddrs: []string{s.addr}, ContextTimeoutEnabled: true, DialTimeout: time.Second,
	})
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// Failover has the sentinel make the replica the primary although the other one is
// well, which it is told some ten seconds later.
func (s *SentinelInstance) Failover() {
	s.tb.Helper()
	if err := s.sentinel.Failover(s.tb.Context(), masterName).Err(); err != nil {
		s.tb.Fatal(err)
	}
}

// AwaitFailover waits until the sentinel names the replica as the primary, and
// that agrees.
func (s *SentinelInstance) AwaitFailover() {
	s.tb.Helper()
	s.eventually("other primary", func() bool {
		addr, err := s.sentinel.GetMasterAddrByName(s.tb.Context(), masterName).Result()
		if err != nil || len(addr) != 2 || net.JoinHostPort(addr[0], addr[1]) != s.Replica.Addr() {
			return false
		}
		info, err := s.Replica.Client().Info(s.tb.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "role:master")
	})
}
