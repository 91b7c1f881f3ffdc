package faults_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/internal/swarmtest"
)

// slowTrip is how long a round trip may take on a machine that can be expected to
// work: a quarter of what a call may take in all (distributed.Options.Budget), and
// a hundred times what it takes on an idle one. A removal makes up to three.
const slowTrip = 25 * time.Millisecond

// machine tells what is the machine's doing, and not the cache's: it makes round
// trips that no fault touches, all the time, and looks at how long they take.
type machine struct {
	began atomic.Int64 // the trip that is under way; 0: none is
	slow  atomic.Int64 // when the last slow one was over
}

// watch makes round trips until ctx ends. One is twice that to a server in the
// test's process, and so as many hops as to Redis through a proxy.
func (m *machine) watch(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for b := make([]byte, 1); ctx.Err() == nil; {
		m.began.Store(now())
		for range 2 {
			if _, err := conn.Write(b); err != nil {
				return err
			}
			if _, err := conn.Read(b); err != nil {
				return err
			}
		}
		m.slowUntil(now())
		m.began.Store(0)
		_ = swarmtest.Pause(ctx, 10*time.Millisecond)
	}
	return nil
}

// slowUntil returns when the machine was slow for the last time, as of now.
func (m *machine) slowUntil(now int64) int64 {
	if began := m.began.Load(); began != 0 && now-began > int64(slowTrip) {
		raise(&m.slow, now)
	}
	return m.slow.Load()
}

// witness waits for the end of a context and does nothing else, so that it is late
// to hear of it on the machine's account only.
type witness struct {
	due     int64         // when the context should end
	stopped *atomic.Int64 // when this process was stopped

	noted chan struct{} // closed when the rest is set
	told  int64         // when it has, for the witness
	waits map[string]waits
}

// note is called when the context has ended.
func (w *witness) note() {
	w.waits = threads()
	w.told = now() // after that: what comes between is not in there
	close(w.noted)
}

// excuse returns for how long nobody in this process heard of the context's end, or
// who had heard of it may not have run: until the witness did; from when the process
// was stopped; and for as long as threads that may have been needed, one after the
// other, waited for a processor.
func (w *witness) excuse() time.Duration {
	<-w.noted
	excuse := max(0, w.told-w.due)
	if at := w.stopped.Load(); at > w.told {
		excuse += now() - at
	}
	for id, after := range threads() {
		before := w.waits[id]
		excuse += waits{after.sum - before.sum, after.n - before.n}.inTheWay()
	}
	return time.Duration(excuse)
}

// waits are those of a thread that is ready to run for a processor.
type waits struct{ sum, n int64 }

// inTheWay is how long a call can have been held up by them: it needs a thread a few
// times before it returns, however often that waits for other reasons.
func (w waits) inTheWay() int64 {
	const few = 4
	if w.n <= few {
		return w.sum
	}
	return few * w.sum / w.n
}

// threads returns how long the threads of this process have waited so far, by their
// ids.
func threads() map[string]waits {
	files, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		panic(err) // the pattern is a good one
	}
	all := make(map[string]waits, len(files))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has ended
		}
		var ran int64
		var w waits
		if n, _ := fmt.Sscan(string(text), &ran, &w.sum, &w.n); n == 3 {
			all[f] = w
		}
	}
	return all
}
