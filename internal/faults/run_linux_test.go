package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
)

const startTimeout = 20 * time.Second

// run is one run of a subject.
type run struct {
	t       *testing.T
	board   *board
	redis   *redistest.Instance
	proxies [processes]*proxy
	workers [processes]*process
	said    said
	epoch   int64
}

// process is a worker as the test sees it.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// said is what the workers wrote, of all of them. Safe for concurrent use.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// start has the workers use a subject, each through a proxy of its own.
func start(t *testing.T, subject string) *run {
	t.Helper()
	path := filepath.Join(t.TempDir(), "board")
	b, unmap, err := openBoard(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmap(); err != nil {
			t.Error(err)
		}
	})
	r := &run{t: t, board: b, redis: redistest.Server(t)}
	for i := range r.proxies {
		r.proxies[i] = newProxy(t, r.redis.Addr())
		r.startWorker(i, assignment{Subject: subject, Addr: r.proxies[i].Listen, Board: path, Process: i})
	}
	r.until("the workers are ready", startTimeout, func() bool {
		for i := range b.nodes {
			if !b.nodes[i].ready.Load() {
				return false
			}
		}
		return true
	})
	return r
}

func (r *run) startWorker(i int, a assignment) {
	r.t.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		r.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	cmd.Stdout, cmd.Stderr = &r.said, &r.said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("cannot start a worker: %v", err)
	}
	r.workers[i] = &process{cmd, stdin}
	r.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
}

func (r *run) until(what string, limit time.Duration, cond func() bool) {
	r.t.Helper()
	for began := time.Now(); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > limit {
			r.t.Fatalf("%s: not within %v; the workers say:\n%s", what, limit, &r.said)
		}
	}
}

// recovered tells the workers that a fault is over, and returns how long the
// slowest of them took to recover.
func (r *run) recovered() time.Duration {
	r.t.Helper()
	over := now()
	r.epoch++
	r.board.epoch.Store(r.epoch)
	var last int64
	r.until("recovery", 15*time.Second, func() bool {
		for i := range r.board.nodes {
			n := &r.board.nodes[i]
			if n.recovered.Load() < r.epoch {
				return false
			}
			last = max(last, n.wellAt.Load())
		}
		return true
	})
	return time.Duration(last - over)
}

// stop ends the workers, each with all that it has.
func (r *run) stop() {
	r.t.Helper()
	for i, w := range r.workers {
		_ = w.stdin.Close() // it is open, or the process has ended
		if err := w.cmd.Wait(); err != nil {
			r.t.Errorf("worker %d: %v", i, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// The test's own client has one connection, or a few.
	r.until("the connections end", 5*time.Second, func() bool {
		list, err := r.redis.Client().ClientList(ctx).Result()
		return err == nil && bytes.Count([]byte(list), []byte("\n")) <= 1
	})
	if text := r.said.String(); text != "" {
		r.t.Logf("the workers say:\n%s", text)
	}
}
