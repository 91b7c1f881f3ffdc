package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
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
	_, _ = w.call(t.Context(), w.phase(), within, do)
	return w.phase()
}

func TestCallThatOutlivesItsContextIsCounted(t *testing.T) {
	skipIfShort(t)
	c := measured(t, 5*time.Millisecond, func(context.Context) error {
		time.Sleep(2 * time.Second) // the machine may be to blame for some
		return nil
	})
	if n := c.overruns.Load(); n != 1 {
		t.Errorf("got %d overruns, want 1", n)
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
	spinners := 4 * runtime.NumCPU()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(spinners))
	end := time.Now().Add(300 * time.Millisecond)
	var waited atomic.Int64
	var all sync.WaitGroup
	for range spinners {
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			me := fmt.Sprintf("/proc/self/task/%d/schedstat", syscall.Gettid())
			before := threads()[me]
			for time.Now().Before(end) {
			}
			waited.Add(threads()[me].sum - before.sum)
		})
	}
	all.Wait()
	if got := time.Duration(waited.Load()); got < 100*time.Millisecond {
		t.Errorf("%d threads have waited for %v altogether, want 100ms at least", spinners, got)
	}
}

func TestManyShortWaitsAreNotInTheWay(t *testing.T) {
	for _, c := range []struct {
		waits
		want int64
	}{
		{waits{0, 0}, 0},
		{waits{sum: 300, n: 1}, 300},
		{waits{sum: 300, n: 4}, 300},
		{waits{sum: 1000, n: 100}, 40},
	} {
		if got := c.inTheWay(); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.waits, got, c.want)
		}
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
