package swarmtest_test

import (
	"context"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/internal/swarmtest"
)

type task struct{ Does string }

type board struct {
	ready, ended atomic.Int64
}

func TestMain(m *testing.M) {
	swarmtest.Main(work)
	goleak.VerifyTestMain(m)
}

func work(ctx context.Context, w *swarmtest.Worker[task, board]) {
	w.Board.ready.Add(1)
	switch w.Task.Does {
	case "fail":
		w.Fail("broken")
	case "end":
		return
	case "leak a goroutine":
		go func() { select {} }()
	case "leak a socket":
		if _, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); err != nil { // no collection closes it
			w.Fail("%v", err)
		}
	}
	<-ctx.Done()
	w.Board.ended.Add(1)
}

func await(t *testing.T, n *atomic.Int64, want int64) {
	t.Helper()
	for began := time.Now(); n.Load() < want; time.Sleep(time.Millisecond) { // another process: there is no virtual time
		if time.Since(began) > 20*time.Second {
			t.Fatalf("got %d, want %d", n.Load(), want)
		}
	}
}

func TestWorkersShareABoardUntilTheyAreToldToEnd(t *testing.T) {
	s := swarmtest.New[task, board](t)
	for range 3 {
		s.Start(task{})
	}
	await(t, &s.Board.ready, 3)
	if n := s.Board.ended.Load(); n != 0 {
		t.Errorf("%d have ended, want none", n)
	}
	if err := s.End(); err != nil {
		t.Error(err)
	}
	if n := s.Board.ended.Load(); n != 3 {
		t.Errorf("%d have ended, want 3", n)
	}
	if text := s.Said(); text != "" {
		t.Errorf("they say %q, want nothing", text)
	}
}

func TestKilledWorkerIsGoneAndHasNotFailed(t *testing.T) {
	s := swarmtest.New[task, board](t)
	p := s.Start(task{})
	await(t, &s.Board.ready, 1)
	if ended, err := p.Ended(); ended || err != nil {
		t.Errorf("got %v, %v; want it to run", ended, err)
	}
	p.Kill()
	if ended, err := p.Ended(); !ended || err == nil {
		t.Errorf("got %v, %v; want it to have been killed", ended, err)
	}
	if err := s.End(); err != nil {
		t.Error(err)
	}
	if n := s.Board.ended.Load(); n != 0 {
		t.Error("it has ended by itself")
	}
}

func TestWorkerThatFailsIsReported(t *testing.T) {
	for does, want := range map[string]string{
		"fail":             "process 0: broken",
		"end":              "process 0: it ended too soon",
		"leak a goroutine": "found unexpected goroutines",
		"leak a socket":    "1 sockets are left",
	} {
		t.Run(does, func(t *testing.T) {
			s := swarmtest.New[task, board](t)
			p := s.Start(task{does})
			await(t, &s.Board.ready, 1)
			for ended := does != "end"; !ended; time.Sleep(time.Millisecond) {
				ended, _ = p.Ended()
			}
			if err := s.End(); err == nil || !strings.Contains(err.Error(), "worker 0: exit status 1") {
				t.Errorf("got %v, want the worker's exit status", err)
			}
			if text := s.Said(); !strings.Contains(text, want) {
				t.Errorf("it says %q, want %q", text, want)
			}
		})
	}
}
