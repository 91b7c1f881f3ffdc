package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerAnswersAndIsEmpty(t *testing.T) {
	t.Parallel()
	s := Server(t)
	if n, err := s.Client().DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Fatalf("DBSize of a new server = %d, %v, want 0, nil", n, err)
	}
	if first, second := s.Client(), s.Client(); first != second {
		t.Error("Client returned two clients")
	}
	save, err := s.Client().ConfigGet(t.Context(), "save").Result()
	if err != nil || save["save"] != "" {
		t.Errorf("save = %q, %v, want none", save["save"], err)
	}
}

func TestServerTakesArguments(t *testing.T) {
	t.Parallel()
	s := Server(t, "--maxmemory", "10mb", "--appendonly", "yes")
	got, err := s.Client().ConfigGet(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	if got["maxmemory"] != "10485760" || got["appendonly"] != "yes" {
		t.Errorf("maxmemory, appendonly = %s, %s, want 10485760, yes", got["maxmemory"], got["appendonly"])
	}
}

func TestServerSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	s := Server(t)
	s.Kill()
	s.args = []string{"--no-such-setting", "1"}
	if err := s.start(); err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("start with a bad setting = %v, want the server's log in it", err)
	}
}

func TestServerRefusesAForeignServerOnItsPort(t *testing.T) {
	t.Parallel()
	other := Server(t)
	s := Server(t)
	s.Kill()
	s.addr = other.addr
	if err := s.start(); err == nil {
		t.Error("start succeeded on a port that another server holds")
	}
	if err := other.Client().Ping(t.Context()).Err(); err != nil {
		t.Errorf("the other server does not answer any more: %v", err)
	}
}

func TestFrozenServerAnswersAfterCont(t *testing.T) {
	t.Parallel()
	s := Server(t)
	if err := s.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := s.Client().Get(ctx, "k").Err(); !isTimeout(err) {
		t.Errorf("Get on a frozen server = %v, want a timeout", err)
	}
	s.Cont()
	if got, err := s.Client().Get(t.Context(), "k").Result(); got != "v" || err != nil {
		t.Errorf("Get after Cont = %q, %v, want v", got, err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

func TestRestartKeepsAddressAndForgetsData(t *testing.T) {
	t.Parallel()
	s := Server(t)
	addr := s.Addr()
	if err := s.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Kill() // twice is fine
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a killed server still listens")
	}
	s.Restart()
	if s.Addr() != addr {
		t.Errorf("address after Restart = %s, want %s", s.Addr(), addr)
	}
	if err := s.Client().Get(t.Context(), "k").Err(); err != redis.Nil {
		t.Errorf("Get after Restart = %v, want redis.Nil", err)
	}
}

func TestRestartKeepsPersistedData(t *testing.T) {
	t.Parallel()
	s := Server(t, "--appendonly", "yes", "--appendfsync", "always")
	if err := s.Client().Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	if got, err := s.Client().Get(t.Context(), "k").Result(); got != "v" || err != nil {
		t.Errorf("Get after Restart with AOF = %q, %v, want v", got, err)
	}
}

func TestServerEndsWithItsTestEvenIfFrozen(t *testing.T) {
	var s *Instance
	t.Run("owner", func(t *testing.T) {
		s = Server(t)
		s.Stop()
	})
	if s == nil {
		t.Skip("redis-server is not on PATH")
	}
	if err := s.proc.cmd.Process.Signal(os.Signal(os.Interrupt)); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to the server after its test = %v, want os.ErrProcessDone", err)
	}
}

func TestClusterServesEverySlot(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes two seconds")
	}
	c := Cluster(t, 3)
	if len(c.Addrs()) != 3 {
		t.Fatalf("got %d nodes, want 3", len(c.Addrs()))
	}
	perNode := make(map[string]int)
	for i := range 100 {
		key := fmt.Sprint("k", i)
		if err := c.Client().Set(t.Context(), key, i, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Client().Get(t.Context(), key).Int(); got != i || err != nil {
			t.Fatalf("Get %s = %d, %v, want %d", key, got, err, i)
		}
	}
	for i := range 3 {
		n, err := c.Node(i).Client().DBSize(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		perNode[c.Node(i).Addr()] = int(n)
	}
	if len(perNode) != 3 {
		t.Fatalf("keys per node = %v, want three nodes", perNode)
	}
	for addr, n := range perNode {
		if n == 0 {
			t.Errorf("node %s holds none of 100 keys", addr)
		}
	}
}

func TestReplicaTakesOver(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes several seconds")
	}
	c := Cluster(t, 3)
	replica := c.AddReplica(0)
	c.Node(0).Kill()
	ctx, cancel := context.WithTimeout(t.Context(), clusterTimeout)
	defer cancel()
	err := until(ctx, func() error {
		role, err := replica.Client().Do(ctx, "role").Slice()
		if err == nil && role[0] != "master" {
			err = fmt.Errorf("its role is %v", role[0])
		}
		return err
	})
	if err != nil {
		t.Errorf("the replica did not take over: %v", err)
	}
}

func TestMiniFollowsTheTimeOfABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := MiniClient(t, Mini(t))
		start := time.Now()
		if err := client.Set(t.Context(), "k", "v", time.Second).Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(999 * time.Millisecond)
		if got, err := client.Get(t.Context(), "k").Result(); got != "v" || err != nil {
			t.Errorf("Get at 999 ms = %q, %v, want v", got, err)
		}
		time.Sleep(time.Millisecond)
		if err := client.Get(t.Context(), "k").Err(); err != redis.Nil {
			t.Errorf("Get at 1 s = %v, want redis.Nil", err)
		}
		if passed := time.Since(start); passed != time.Second {
			t.Errorf("virtual time passed = %v, want exactly 1s", passed)
		}
	})
}

func TestMiniRunsScriptsAndPipelinesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := MiniClient(t, Mini(t))
		script := redis.NewScript(`return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])`)
		if err := script.Run(t.Context(), client, []string{"k"}, "v", 50).Err(); err != nil {
			t.Fatal(err)
		}
		pipe := client.Pipeline()
		value, ttl := pipe.Get(t.Context(), "k"), pipe.PTTL(t.Context(), "k")
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		if value.Val() != "v" || ttl.Val() != 50*time.Millisecond {
			t.Errorf("value, ttl = %q, %v, want v, 50ms", value.Val(), ttl.Val())
		}
	})
}

// A pipeline of more than the buffers on its way hold must not stall.
func TestMiniTakesLargePipelinesInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := MiniClient(t, Mini(t))
		pipe := client.Pipeline()
		large := strings.Repeat("v", 10_000)
		for i := range 200 {
			pipe.Set(t.Context(), fmt.Sprint("k", i), large, 0)
			pipe.Get(t.Context(), fmt.Sprint("k", i))
		}
		replies, err := pipe.Exec(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := replies[399].(*redis.StringCmd).Val(); got != large {
			t.Errorf("the last reply has %d bytes, want %d", len(got), len(large))
		}
	})
}
