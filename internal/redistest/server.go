package redistest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// startTimeout bounds how long one server may take until it answers.
const startTimeout = 15 * time.Second

// Instance is one redis-server process that a test owns.
type Instance struct {
	// Immutable.
	tb   testing.TB
	bin  string
	dir  string
	addr string
	args []string

	mu     sync.Mutex
	proc   *process // nil before the first start
	client *redis.Client
}

// process is one run of the server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// Server starts redis-server on a free loopback port and waits until it
// answers. It keeps nothing on disk unless args say otherwise; args are given
// to the server after the defaults, as in "--maxmemory", "10mb". The server is
// killed when the test ends, also if it is frozen. Without redis-server on
// PATH the test is skipped. Not for use in a synctest bubble.
func Server(tb testing.TB, args ...string) *Instance {
	tb.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		tb.Skip("redis-server is not on PATH")
	}
	dir := tb.TempDir() // before the cleanup below: the server ends before its directory
	for range 10 {
		s := &Instance{tb: tb, bin: bin, dir: dir, addr: freeAddr(tb), args: args}
		tb.Cleanup(s.end)
		if err = s.start(); err == nil {
			return s
		}
		// Somebody else took the port between our look and the server's.
		s.end()
	}
	tb.Fatalf("redis-server does not start: %v", err)
	return nil
}

// freeAddr returns a loopback address on which nobody listens now, with a free
// port 10000 above it for a cluster's bus. Both are below the ephemeral range,
// so that no outgoing connection takes them.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	for range 1000 {
		port := 11000 + rand.IntN(11000)
		if portIsFree(port) && portIsFree(port+10000) {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
	}
	tb.Fatal("no free port")
	return ""
}

func portIsFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// Addr returns host:port. It stays the same over restarts.
func (s *Instance) Addr() string { return s.addr }

// Client returns a client of this server, the same at every call. It honours
// context deadlines, and is closed when the test ends.
func (s *Instance) Client() *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		s.client = redis.NewClient(&redis.Options{
			Addr:                     s.addr,
			ContextTimeoutEnabled:    true,
			DisableIdentity:          true,
			MaintNotificationsConfig: noMaintNotifications(),
		})
		s.tb.Cleanup(func() { _ = s.client.Close() })
	}
	return s.client
}

func noMaintNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Stop freezes the server (SIGSTOP): connections stay open and nothing
// answers. A test on a system without that signal is skipped.
func (s *Instance) Stop() {
	s.tb.Helper()
	s.signal("stop", stopProcess)
}

// Cont lets a frozen server go on (SIGCONT).
func (s *Instance) Cont() {
	s.tb.Helper()
	s.signal("continue", contProcess)
}

func (s *Instance) signal(what string, send func(*os.Process) error) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := send(s.proc.cmd.Process); err != nil {
		s.tb.Fatalf("cannot %s redis-server: %v", what, err)
	}
}

// Kill ends the server at once (SIGKILL) and waits until it is gone. It may be
// frozen, or gone already.
func (s *Instance) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killLocked()
}

func (s *Instance) killLocked() {
	if s.proc == nil {
		return
	}
	_ = s.proc.cmd.Process.Kill() // it may have ended by itself
	<-s.proc.done
}

// Restart kills the server if it runs, starts it again on the same address and
// directory, and waits until it answers. What was not persisted is gone.
func (s *Instance) Restart() {
	s.tb.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		s.tb.Fatalf("redis-server does not start again: %v", err)
	}
}

// end is the cleanup: the server must not outlive the test.
func (s *Instance) end() { s.Kill() }

// start runs the server and waits until this very process answers.
func (s *Instance) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own handle
	args := append([]string{
		"--port", port, "--bind", "127.0.0.1", "--dir", s.dir,
		"--daemonize", "no", "--appendonly", "no", "--save", "",
	}, s.args...)
	cmd := exec.Command(s.bin, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // killed is how it always ends
	}()
	s.proc = p
	if err := s.waitUntilUp(p); err != nil {
		s.killLocked()
		return fmt.Errorf("%w; its log ends with:\n%s", err, s.logTail())
	}
	return nil
}

// waitUntilUp asks until the answer comes from p itself: on a lost race for the
// port another server would answer.
func (s *Instance) waitUntilUp(p *process) error {
	client := redis.NewClient(&redis.Options{
		Addr: s.addr, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second, ReadTimeout: time.Second,
		DisableIdentity: true, MaintNotificationsConfig: noMaintNotifications(),
	})
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	want := fmt.Sprintf("process_id:%d\r", p.cmd.Process.Pid)
	for {
		var info string
		err := s.dial() // first, since the client logs each refused connection
		if err == nil {
			info, err = client.Info(ctx, "server").Result()
		}
		if err == nil && !strings.Contains(info, want) {
			return fmt.Errorf("another server answers on %s", s.addr)
		}
		if err == nil && client.Ping(ctx).Err() == nil { // LOADING is over
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("redis-server ended: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("redis-server does not answer within %v: %v", startTimeout, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *Instance) dial() error {
	c, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

func (s *Instance) logTail() []byte {
	log, err := os.ReadFile(filepath.Join(s.dir, "redis.log"))
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(log[max(0, len(log)-1000):])
}
