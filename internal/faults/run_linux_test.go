package faults_test

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/internal/swarmtest"
)

// startTimeout is how long something may take that no promise is about.
const startTimeout = 30 * time.Second

// run is one run of a subject.
type run struct {
	t       *testing.T
	swarm   *swarmtest.Swarm[assignment, board]
	board   *board
	redis   *redistest.Instance
	proxies [processes]*proxy
	workers [processes]*swarmtest.Process
	epoch   int64
}

// start has the workers use a subject, each through a proxy of its own.
func start(t *testing.T, subject string) *run {
	t.Helper()
	r := &run{t: t, redis: redistest.Server(t)}
	echo := newEcho(t)
	for i := range r.proxies {
		r.proxies[i] = newProxy(t, r.redis.Addr())
	}
	r.swarm = swarmtest.New[assignment, board](t)
	r.board = r.swarm.Board
	t.Cleanup(func() {
		if text := r.swarm.Said(); text != "" {
			t.Logf("the workers say:\n%s", text)
		}
	})
	for i := range r.workers {
		r.workers[i] = r.swarm.Start(assignment{Subject: subject, Addr: r.proxies[i].Listen, Echo: echo})
	}
	until(r.t, "the workers are ready", func() bool {
		for i := range r.board.nodes {
			if !r.board.nodes[i].ready.Load() {
				return false
			}
		}
		return true
	})
	return r
}

func (r *run) signal(i int, s os.Signal) {
	r.t.Helper()
	if s == syscall.SIGSTOP {
		r.board.nodes[i].stopped.Store(now())
	}
	if err := r.workers[i].Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// until waits until cond holds.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for began := time.Now(); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > startTimeout {
			t.Fatalf("%s: not within %v", what, startTimeout)
		}
	}
}

// recovery is how long the slowest process took to be well after a fault, and for
// how long the machine held up one of them.
type recovery struct{ took, inAll, held time.Duration }

// raise makes c the worst of both.
func (c *recovery) raise(other recovery) {
	c.took, c.inAll, c.held = max(c.took, other.took), max(c.inAll, other.inAll), max(c.held, other.held)
}

// recovered tells the workers that a fault is over, and returns how they recovered.
func (r *run) recovered() (worst recovery) {
	r.t.Helper()
	r.epoch++
	r.board.over.Store(now())
	r.board.epoch.Store(r.epoch)
	until(r.t, "recovery", func() bool {
		for i := range r.board.nodes {
			if r.board.nodes[i].recovered.Load() < r.epoch {
				return false
			}
		}
		return true
	})
	for i := range r.board.nodes {
		n := &r.board.nodes[i]
		took, held := time.Duration(n.took.Load()), time.Duration(n.held.Load())
		worst.raise(recovery{took - held, took, held})
	}
	return worst
}

// stop ends the workers, each with all that it has.
func (r *run) stop() {
	r.t.Helper()
	if err := r.swarm.End(); err != nil {
		r.t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	// The test's own client has one connection, or a few.
	until(r.t, "the connections end", func() bool {
		list, err := r.redis.Client().ClientList(ctx).Result()
		return err == nil && bytes.Count([]byte(list), []byte("\n")) <= 1
	})
}
