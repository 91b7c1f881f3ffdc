package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
)

// workerEnv holds an assignment where the test binary shall be a worker.
const workerEnv = "LARDER_FAULTS_WORKER"

const (
	readersEach = 4
	// overrunAllowed is for how long a call may outlive its context.
	overrunAllowed = 50 * time.Millisecond
	mostReports    = 5 // of one run
)

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(workerEnv); ok {
		os.Exit(work(text))
	}
	os.Exit(m.Run())
}

// assignment is what a worker is told.
type assignment struct {
	Subject string
	Addr    string // of Redis, or rather of its proxy
	Board   string // its file
	Process int
}

// worker is one process that reads and writes until its standard input ends.
type worker struct {
	assignment
	board   *board
	subject subject
	stalled atomic.Int64 // for how long this process did not get to run, in all
	failed  atomic.Bool
}

// work is the whole life of a worker process, and returns its exit status.
func work(text string) (status int) {
	w := &worker{}
	if err := json.Unmarshal([]byte(text), &w.assignment); err != nil {
		w.fail("cannot read its assignment: %v", err)
		return 2
	}
	b, unmap, err := openBoard(w.Board)
	if err != nil {
		w.fail("cannot open the board: %v", err)
		return 2
	}
	w.board = b
	w.run()
	if err := errors.Join(goleak.Find(), noSockets(), unmap()); err != nil {
		w.fail("in the end: %v", err)
	}
	if w.failed.Load() {
		return 1
	}
	return 0
}

// noSockets is the error of sockets that this process still has.
func noSockets() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d sockets are left", n)
	}
	return nil
}

// run opens the subject, uses it until standard input ends, and closes it.
func (w *worker) run() {
	s, err := open(w.Subject, w.Addr)
	if err != nil {
		w.fail("cannot open the cache: %v", err)
		return
	}
	w.subject = s
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the test says so, or is no more
	})
	all.Go(func() { w.watch(ctx) })
	all.Go(func() { w.write(ctx) })
	all.Go(func() { w.recover(ctx) })
	for range readersEach {
		all.Go(func() { w.read(ctx) })
	}
	w.board.nodes[w.Process].ready.Store(true)
	all.Wait()
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.close(within); err != nil {
		w.fail("close: %v", err)
	}
}

// watch measures how long this process does not get to run: what a call is late by
// as much is not the cache's doing.
func (w *worker) watch(ctx context.Context) {
	const step = 2 * time.Millisecond
	for ctx.Err() == nil {
		began := now()
		time.Sleep(step)
		if late := now() - began - int64(step); late > int64(step) {
			w.stalled.Add(late)
		}
	}
}

// call calls do with a context that ends after d, and counts by how much it was
// outlived.
func (w *worker) call(ctx context.Context, t *tally, d time.Duration, do func(ctx context.Context) error) (err error, ended bool) {
	stalled, began := w.stalled.Load(), now()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	err = do(ctx)
	over := now() - began - int64(d)
	ended = ctx.Err() != nil
	if over > int64(overrunAllowed) {
		pause(context.Background(), 20*time.Millisecond) // the watch may be as late as we are
		over -= w.stalled.Load() - stalled
	}
	raise(&t.overrun, over)
	if over > int64(overrunAllowed) {
		t.overruns.Add(1)
		w.report("a call outlived its context of %v by %v", d, time.Duration(over))
	}
	return err, ended
}

// read reads keys until ctx ends.
func (w *worker) read(ctx context.Context) {
	for ctx.Err() == nil {
		id := rand.IntN(keyCount)
		d := 5*time.Millisecond + rand.N(300*time.Millisecond)
		t := w.phase()
		var got item
		began := now()
		err, ended := w.call(ctx, t, d, func(ctx context.Context) (err error) {
			got, err = w.subject.get(ctx, keyOf(id), w.load(id))
			return err
		})
		switch {
		case err != nil && ended:
			t.ended.Add(1)
		case err != nil:
			t.failed.Add(1)
			w.report("read: %v", err)
		case got.Key != id:
			w.fail("got key %d instead of %d", got.Key, id)
		default:
			w.judge(t, id, got.Version, began)
		}
		pause(ctx, 500*time.Microsecond)
	}
}

func (w *worker) judge(t *tally, id int, version, began int64) {
	stale := w.board.rows[id].staleness(version, began)
	t.add(stale)
	w.board.nodes[w.Process].reads.Add(1)
	if stale > 0 && w.Subject != "bounded" && w.Subject != "naive" {
		w.report("phase %d: stale by %v: key %d, version %d, it took %v; floor %d",
			w.board.phase.Load(), stale, id, version, time.Duration(now()-began), w.board.rows[id].floor.Load())
	}
}

func (w *worker) load(id int) load {
	return func(_ context.Context, e *cache.Entry) (item, error) {
		e.TTL = time.Hour // only an invalidation takes it away
		return item{id, w.board.rows[id].version.Load()}, nil
	}
}

// write changes the keys of this process until ctx ends, some of them often, some
// seldom.
func (w *worker) write(ctx context.Context) {
	waiting := make(map[int]int64) // versions whose removal has failed, by key
	for ctx.Err() == nil {
		u := rand.Float64()
		id := int(keyCount/processes*u*u)*processes + w.Process
		r, t := &w.board.rows[id], w.phase()
		version := r.version.Add(1)
		d := 150 * time.Millisecond
		if rand.IntN(2) == 0 {
			d = 3 * time.Second
		}
		err, _ := w.call(ctx, t, d, func(ctx context.Context) error { return w.subject.remove(ctx, keyOf(id)) })
		switch {
		case err == nil:
			r.tell(version)
			t.writes.Add(1)
			delete(waiting, id)
		default:
			t.unsure.Add(1)
			// In mode Ack a retry waits for nobody, so it promises nothing.
			if w.Subject != "ack" && (errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown)) {
				waiting[id] = version
			}
		}
		if len(waiting) > 0 && w.subject.settled() {
			for id, version := range waiting {
				w.board.rows[id].tell(version)
			}
			t.retried.Add(int64(len(waiting)))
			clear(waiting)
		}
		pause(ctx, rand.N(8*time.Millisecond))
	}
}

// recover tells when the cache works again after each fault: it knows of every
// change, no removal waits, and it reads and removes what is on the server.
func (w *worker) recover(ctx context.Context) {
	me := &w.board.nodes[w.Process]
	for ctx.Err() == nil {
		epoch, began := w.board.epoch.Load(), time.Now()
		for me.recovered.Load() < epoch && ctx.Err() == nil {
			if (w.Subject == "naive" || w.subject.settled()) && w.subject.well(began) && w.works(ctx) {
				me.wellAt.Store(now())
				me.recovered.Store(epoch)
			}
			pause(ctx, 5*time.Millisecond)
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// works reports whether a key can be removed and is read from Redis.
func (w *worker) works(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	key := fmt.Sprintf("probe%d", w.Process)
	if w.subject.remove(ctx, key) != nil {
		return false
	}
	loads := 0
	for range 3 {
		_, err := w.subject.get(ctx, key, func(_ context.Context, e *cache.Entry) (item, error) {
			loads++
			return item{}, nil
		})
		if err != nil {
			return false
		}
	}
	return loads == 1
}

func (w *worker) phase() *tally { return &w.board.tallies[w.board.phase.Load()] }

// fail reports what should not happen to any subject.
func (w *worker) fail(format string, args ...any) {
	w.failed.Store(true)
	w.say(format, args...)
}

// report reports what the test counts, a few times.
func (w *worker) report(format string, args ...any) {
	if w.board.reports.Add(1) <= mostReports {
		w.say(format, args...)
	}
}

// say writes to the test, in one piece.
func (w *worker) say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, "process %d: %s\n", w.Process, fmt.Sprintf(format, args...)) // if nobody listens the exit status tells
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
