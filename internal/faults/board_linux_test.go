package faults_test

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	processes = 4
	keyCount  = 256
	kept      = 64 // writes of each key, for judging
	phases    = 16 // faults of one run, at most
)

// bounds are the upper ends of the histogram's buckets; the first is of reads that
// were not stale, and one more is of what is beyond the last.
var bounds = [...]time.Duration{0, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond, bound / 2, bound}

// board is the memory that all processes of a run share. All is atomic, for
// processes are stopped at any point. Times are now's.
type board struct {
	phase   atomic.Int64 // index of what happens now
	epoch   atomic.Int64 // how many faults have ended
	over    atomic.Int64 // when the last one had
	reports atomic.Int64

	tallies [phases]tally
	nodes   [processes]node
	rows    [keyCount]row
}

// tally counts what happened in one phase, by the calls' starts.
type tally struct {
	staleness [len(bounds) + 1]atomic.Int64 // of reads
	worst     atomic.Int64                  // staleness

	ended    atomic.Int64 // reads that ended with their context
	failed   atomic.Int64 // reads with another error
	writes   atomic.Int64 // that returned nil
	unsure   atomic.Int64 // writes that returned an error
	retried  atomic.Int64 // of these, landed later
	overrun  atomic.Int64 // by which a call outlived its context, at most
	overruns atomic.Int64 // of more than allowed
}

// node is what one process says of itself.
type node struct {
	ready     atomic.Bool
	stopped   atomic.Int64 // when it was stopped (SIGSTOP), which the test says
	recovered atomic.Int64 // the last epoch after which it was found well
	took      atomic.Int64 // for how long it was not, from the fault's end
	held      atomic.Int64 // for how long of that the machine kept it from being well
}

// row is one key's row in the source, and when readers could know.
type row struct {
	version atomic.Int64
	floor   atomic.Int64 // the last version whose invalidation is over
	count   atomic.Int64
	told    [kept]told
}

type told struct{ version, at atomic.Int64 }

// now is a clock that all processes share and nobody sets.
func now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err) // it cannot fail on Linux
	}
	return t.Nano()
}

// tell notes that the invalidation of what is older than version is over. A key has
// one writer, so nobody else calls it for the same row.
func (r *row) tell(version int64) {
	if r.floor.Load() >= version {
		return
	}
	t := &r.told[r.count.Add(1)%kept]
	t.at.Store(0)
	t.version.Store(version)
	t.at.Store(now())
	r.floor.Store(version)
}

// staleness is for how long version had been invalidated when a read began that
// got it; 0 if it had not.
func (r *row) staleness(version, began int64) time.Duration {
	if r.floor.Load() <= version {
		return 0
	}
	oldest := began
	for i := range r.told {
		t := &r.told[i]
		at := t.at.Load()
		v := t.version.Load()
		if at != 0 && v > version && t.at.Load() == at {
			oldest = min(oldest, at)
		}
	}
	return time.Duration(began - oldest)
}

// add counts a read.
func (t *tally) add(stale time.Duration) {
	i := 0
	for i < len(bounds) && stale > bounds[i] {
		i++
	}
	t.staleness[i].Add(1)
	raise(&t.worst, int64(stale))
}

func (t *tally) reads() (n int64) {
	for i := range t.staleness {
		n += t.staleness[i].Load()
	}
	return n
}

func raise(most *atomic.Int64, n int64) {
	for {
		was := most.Load()
		if was >= n || most.CompareAndSwap(was, n) {
			return
		}
	}
}
