package near

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/redistest"
)

// pausedAddr and pausedBoard tell a process that it is the one to be paused: where
// the server is, and which file it shares with the test.
const (
	pausedAddr  = "LARDER_TEST_NEAR_ADDR"
	pausedBoard = "LARDER_TEST_NEAR_BOARD"
	pauseBound  = 300 * time.Millisecond
)

// board is memory that the processes share.
type board struct {
	source, done     atomic.Int64 // as in hunt
	hits, stale      atomic.Int64
	twin             atomic.Int64 // stale hits of a naive one
	ready, stop, bad atomic.Bool
}

func openBoard(path string) (*board, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := int(unsafe.Sizeof(board{}))
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	mem, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return (*board)(unsafe.Pointer(&mem[0])), nil
}

// TestPausedProcess is no test but the other process of the one below.
func TestPausedProcess(t *testing.T) {
	addr := os.Getenv(pausedAddr)
	if addr == "" {
		t.Skip("this is the other process of another test")
	}
	b, err := openBoard(os.Getenv(pausedBoard))
	if err != nil {
		t.Fatal(err)
	}
	n := nodeOf(t, clientOf(t, addr), Ack, pauseBound)
	awaitServing(t, n)
	view := cache.NewTyped[int64](n, nil)
	ctx := context.Background()
	b.ready.Store(true)
	for ; !b.stop.Load() && os.Getppid() != 1; time.Sleep(10 * time.Microsecond) {
		least := b.done.Load()
		if v, ok := n.GetNear(ctx, "k"); ok {
			b.hits.Add(1)
			if v.(int64) < least {
				b.stale.Add(1)
			}
		}
		_, err := view.GetOrCreateExclusive(ctx, "k", func(context.Context, *cache.Entry) (int64, error) {
			return b.source.Load(), nil
		})
		if err != nil {
			b.bad.Store(true)
		}
	}
}

// A process that is stopped hears nothing, acknowledges nothing, and goes on where it
// was: what it holds then must not be served.
func TestNothingStaleInAProcessThatWasPaused(t *testing.T) {
	t.Parallel() // it mostly waits
	server := redistest.Server(t)
	path := filepath.Join(t.TempDir(), "board")
	b, err := openBoard(path)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestPausedProcess$", "-test.timeout=120s")
	child.Env = append(os.Environ(), pausedAddr+"="+server.Addr(), pausedBoard+"="+path)
	child.Stdout, child.Stderr = os.Stderr, os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Signal(syscall.SIGCONT)
		b.stop.Store(true)
		if err := child.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	}()
	writer := nodeOf(t, clientOf(t, server.Addr()), Ack, pauseBound)
	awaitServing(t, writer)
	eventually(t, "the other process", b.ready.Load)
	settle(t, writer)
	change := func() time.Duration {
		v := b.source.Add(1)
		start := time.Now()
		if err := writer.Remove(context.Background(), "k"); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		b.done.Store(v)
		return took
	}
	var longest time.Duration
	for range max(rounds(50), 10) {
		held := b.hits.Load()
		eventually(t, "hits", func() bool { return b.hits.Load() > held+3 })
		if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, change())
		if err := child.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		change()
	}
	t.Logf("%d hits; the longest change with the process stopped took %v; ended by a lease: %d",
		b.hits.Load(), longest, writer.NearStats().Lapsed)
	if n := b.stale.Load(); n != 0 || b.bad.Load() {
		t.Errorf("stale hits: got %d, errors: %t, want none", n, b.bad.Load())
	}
	if writer.NearStats().Lapsed == 0 {
		t.Error("no change met the stopped process")
	}
	if longest > 2*time.Second {
		t.Errorf("a change took %v, want about a lease, %v", longest, pauseBound)
	}
}
