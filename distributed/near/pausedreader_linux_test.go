package near

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// Readers that do nothing but hit are stopped with their process, for longer than the
// bound. When they go on, they run before any timer does: what a timer keeps up to
// date, a flag or a cached time, is then as old as the stop was long. Each case has a
// twin that relies on such a thing, and is caught.

// pausedReader tells a process which of pausedReaders it is.
const pausedReader = "LARDER_TEST_NEAR_READER"

// reader is a way to hit, with an oracle.
type reader struct {
	// hit and twin report whether there was a hit.
	hit, twin func() bool
	// end returns until when there may be hits, as of now or a later moment.
	end func() time.Duration
}

// pausedReaders are the cases, with the bound of each. since is the clock of end.
var pausedReaders = []struct {
	name  string
	bound time.Duration
	start func(t *testing.T, bound time.Duration, b *board, since func() time.Duration) reader
}{
	{"in contact", 200 * time.Millisecond, readInContact},
	{"of a server that cannot tell", 1500 * time.Millisecond, readUntold},
}

// readInContact hits what is held as long as there is contact. The twin's flag is
// taken down by a timer.
func readInContact(t *testing.T, bound time.Duration, b *board, since func() time.Duration) reader {
	r := newRig(t, Options{Bound: bound})
	var last atomic.Int64
	var flag atomic.Bool
	down := time.AfterFunc(bound, func() { flag.Store(false) })
	beat := func() {
		asOf := time.Now()
		last.Store(int64(since()))
		r.hand.Contact(asOf)
		down.Reset(bound)
		flag.Store(true)
	}
	beat()
	r.hold("k", "v", cache.EntryOptions{})
	var running sync.WaitGroup
	running.Go(func() {
		for ; !b.stop.Load(); time.Sleep(bound / heartbeats) {
			beat()
		}
	})
	t.Cleanup(running.Wait)
	return reader{
		hit:  func() bool { _, ok := r.near.GetNear(r.ctx, "k"); return ok },
		twin: flag.Load,
		end:  func() time.Duration { return time.Duration(last.Load()) + bound },
	}
}

// readUntold hits what is held for the bound. The twin trusts the usual reads of
// memory, which compare deadlines with a cached time while they are far.
func readUntold(t *testing.T, bound time.Duration, b *board, since func() time.Duration) reader {
	r := newRigOf(t, Options{Bound: bound}, &hand{unsupported: true})
	plain, err := memory.New(nil)
	r.must(err)
	t.Cleanup(func() { r.must(plain.Close(r.ctx)) })
	var fetched atomic.Int64
	fill := func() {
		fetched.Store(int64(since()))
		r.must(plain.SetObject(r.ctx, "k", "v", cache.EntryOptions{TTL: bound}))
		r.wantGet("k", "v")
	}
	r.write("k", "v", cache.EntryOptions{})
	fill()
	var running sync.WaitGroup
	running.Go(func() {
		for ; !b.stop.Load(); time.Sleep(time.Millisecond) {
			if _, ok := r.near.GetNear(r.ctx, "k"); !ok {
				fill()
			}
		}
	})
	t.Cleanup(running.Wait)
	return reader{
		hit:  func() bool { _, ok := r.near.GetNear(r.ctx, "k"); return ok },
		twin: func() bool { _, ok, _ := plain.GetObject(r.ctx, "k"); return ok },
		end:  func() time.Duration { return time.Duration(fetched.Load()) + bound },
	}
}

// TestPausedReader is no test but the other process of the one below.
func TestPausedReader(t *testing.T) {
	if os.Getenv(pausedReader) == "" {
		t.Skip("this is the other process of another test")
	}
	b, err := openBoard(os.Getenv(pausedBoard))
	if err != nil {
		t.Fatal(err)
	}
	origin := time.Now()
	since := func() time.Duration { return time.Since(origin) }
	for _, c := range pausedReaders {
		if c.name != os.Getenv(pausedReader) {
			continue
		}
		r := c.start(t, c.bound, b, since)
		var readers sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			readers.Go(func() { r.run(b, since) })
		}
		b.ready.Store(true)
		readers.Wait()
	}
}

// run hits until it is told to stop, and counts the hits after the end.
func (r reader) run(b *board, since func() time.Duration) {
	for !b.stop.Load() && os.Getppid() != 1 {
		began := since()
		if r.twin() && began >= r.end() {
			b.twin.Add(1)
		}
		began = since()
		if r.hit() {
			b.hits.Add(1)
			if began >= r.end() {
				b.stale.Add(1)
			}
		}
	}
}

func TestAReaderThatWasStoppedServesNothingOld(t *testing.T) {
	for _, c := range pausedReaders {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "board")
			b, err := openBoard(path)
			if err != nil {
				t.Fatal(err)
			}
			child := exec.Command(os.Args[0], "-test.run=^TestPausedReader$", "-test.timeout=120s")
			child.Env = append(os.Environ(), pausedReader+"="+c.name, pausedBoard+"="+path)
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
			eventually(t, "the other process", b.ready.Load)
			stops := 0
			for ; stops < 3 || b.twin.Load() == 0 && stops < 30; stops++ {
				held := b.hits.Load()
				eventually(t, "hits", func() bool { return b.hits.Load() > held+100 })
				for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
					if err := child.Process.Signal(s); err != nil {
						t.Fatal(err)
					}
					if s == syscall.SIGSTOP {
						time.Sleep(c.bound + c.bound/4)
					}
				}
			}
			held := b.hits.Load()
			eventually(t, "hits", func() bool { return b.hits.Load() > held })
			t.Logf("%d stops, %d hits, %d stale ones of the twin", stops, b.hits.Load(), b.twin.Load())
			if got := b.stale.Load(); got != 0 {
				t.Errorf("%d stale hits, want none", got)
			}
			if b.twin.Load() == 0 {
				t.Error("the twin was not caught")
			}
		})
	}
}
