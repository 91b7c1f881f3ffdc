package faults_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/swarmtest"
)

// What is measured in the workers is tested here, in this process: with real time,
// for that is what it measures.

// measured makes one call in a worker of its own, and returns what was counted.
func measured(t *testing.T, within time.Duration, do func(context.Context) error) *tally {
	t.Helper()
	w := &worker{Worker: &swarmtest.Worker[assignment, board]{Board: &board{}}}
	ctx, end := context.WithCancel(t.Context())
	var ticking sync.WaitGroup
	ticking.Go(func() { w.machine.tick(ctx) })
	defer ticking.Wait()
	defer end()
	until(t, "the first tick", func() bool { return w.machine.ticked.Load() != 0 })
	_, _ = w.call(ctx, w.phase(), within, do)
	return w.phase()
}

func TestCallThatOutlivesItsContextIsCounted(t *testing.T) {
	skipIfShort(t)
	const late = 2 * time.Second // the machine may be to blame for some
	c := measured(t, 5*time.Millisecond, func(context.Context) error {
		time.Sleep(late)
		return nil
	})
	if n := c.overruns.Load(); n != 1 {
		t.Errorf("got %d overruns, want 1", n)
	}
	if over := time.Duration(c.overrun.Load()); over > late+overrunAllowed {
		t.Errorf("got %v, want no more than %v", over, late)
	}
}

func TestCallThatEndsInTimeIsNotCounted(t *testing.T) {
	for name, do := range map[string]func(context.Context) error{
		"before its context": func(context.Context) error { return nil },
		"with its context": func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		if n := measured(t, 20*time.Millisecond, do).overruns.Load(); n != 0 {
			t.Errorf("%s: got %d overruns, want none", name, n)
		}
	}
}

// Threads that have to share processors wait for them.
func TestWaitForAProcessorIsSeen(t *testing.T) {
	skipIfShort(t)
	if _, err := os.Stat("/proc/thread-self/schedstat"); err != nil {
		t.Skip("the kernel does not tell for how long threads wait")
	}
	threads := 4 * runtime.NumCPU()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
	before := queued()
	end := time.Now().Add(300 * time.Millisecond)
	var all sync.WaitGroup
	for range threads {
		all.Go(func() {
			runtime.LockOSThread()
			for time.Now().Before(end) {
			}
		})
	}
	all.Wait()
	if waited := queued() - before; waited < 100*time.Millisecond {
		t.Errorf("%d threads have waited for %v altogether, want 100ms at least", threads, waited)
	}
}

// A trip that takes long counts from when it is slow, and until it is over.
func TestSlowTripIsSeen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, end := context.WithCancel(t.Context())
	var m machine
	var all sync.WaitGroup
	var watched error
	all.Go(func() { watched = m.watch(ctx, l.Addr().String()) })
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 1)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	began := now()
	until(t, "the trip is slow", func() bool { return m.slowUntil(now()) >= began })
	var answered atomic.Int64
	all.Go(func() {
		answered.Store(now())
		_, _ = c.Write(b)
		_, _ = io.Copy(c, c) // until the watch ends
	})
	until(t, "the trip is over", func() bool { return m.slow.Load() > answered.Load() && answered.Load() != 0 && m.began.Load() == 0 })
	end()
	all.Wait()
	if watched != nil && !errors.Is(watched, context.Canceled) {
		t.Error(watched)
	}
}
