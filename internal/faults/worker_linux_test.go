package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/swarmtest"
)

const (
	readersEach = 2
	// overrunAllowed is for how long a call may outlive its context.
	overrunAllowed = 50 * time.Millisecond
	mostReports    = 5 // of one run
)

func TestMain(m *testing.M) {
	swarmtest.Main(func(ctx context.Context, w *swarmtest.Worker[assignment, board]) { (&worker{Worker: w}).run(ctx) })
	os.Exit(m.Run())
}

// assignment is what a worker is told.
type assignment struct {
	Subject string
	Addr    string // of Redis, or rather of its proxy
	Echo    string // see machine.watch
}

// worker is one process that reads and writes until it is told to end.
type worker struct {
	*swarmtest.Worker[assignment, board]
	subject subject
	machine machine
}

// run opens the subject, uses it until ctx ends, and closes it.
func (w *worker) run(ctx context.Context) {
	s, err := open(w.Task.Subject, w.Task.Addr)
	if err != nil {
		w.Fail("cannot open the cache: %v", err)
		return
	}
	w.subject = s
	var all sync.WaitGroup
	all.Go(func() {
		if err := w.machine.watch(ctx, w.Task.Echo); err != nil {
			w.Fail("cannot measure: %v", err)
		}
	})
	all.Go(func() { w.write(ctx) })
	all.Go(func() { w.recover(ctx) })
	for range readersEach {
		all.Go(func() { w.read(ctx) })
	}
	w.me().ready.Store(true)
	all.Wait()
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.close(within); err != nil {
		w.Fail("close: %v", err)
	}
}

// call calls do with a context that ends after d, reports whether that was before do
// returned, and counts by how much it was outlived, without what the machine is to
// blame for.
func (w *worker) call(ctx context.Context, t *tally, d time.Duration, do func(ctx context.Context) error) (err error, ended bool) {
	seen := witness{due: now() + int64(d), stopped: &w.me().stopped, noted: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	inTime := context.AfterFunc(ctx, seen.note)
	err = do(ctx)
	over := time.Duration(now() - seen.due)
	if inTime() {
		return err, over >= 0
	}
	if over > overrunAllowed {
		excuse := seen.excuse()
		say := w.report
		if over-excuse > overrunAllowed {
			t.overruns.Add(1)
			say = w.Say
		}
		say("phase %d: a call outlived its context of %v by %v, for %v of which the machine is to blame", w.Board.phase.Load(), d, over, excuse)
		over -= excuse
	}
	raise(&t.overrun, int64(over))
	return err, true
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
			w.Fail("got key %d instead of %d", got.Key, id)
		default:
			w.judge(t, id, got.Version, began)
		}
		_ = swarmtest.Pause(ctx, 2*time.Millisecond)
	}
}

func (w *worker) judge(t *tally, id int, version, began int64) {
	stale := w.Board.rows[id].staleness(version, began)
	t.add(stale)
	if stale > 0 && w.Task.Subject != "bounded" && w.Task.Subject != "naive" {
		w.report("phase %d: stale by %v: key %d, version %d, it took %v; floor %d",
			w.Board.phase.Load(), stale, id, version, time.Duration(now()-began), w.Board.rows[id].floor.Load())
	}
}

func (w *worker) load(id int) load {
	return func(_ context.Context, e *cache.Entry) (item, error) {
		e.TTL = time.Hour // only an invalidation takes it away
		return item{id, w.Board.rows[id].version.Load()}, nil
	}
}

// write changes the keys of this process until ctx ends, some of them often, some
// seldom.
func (w *worker) write(ctx context.Context) {
	waiting := make(map[int]int64) // versions whose removal has failed, by key
	for ctx.Err() == nil {
		u := rand.Float64()
		id := int(keyCount/processes*u*u)*processes + w.Number
		r, t := &w.Board.rows[id], w.phase()
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
			if w.Task.Subject != "ack" && (errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown)) {
				waiting[id] = version
			}
		}
		if len(waiting) > 0 && w.subject.settled() {
			for id, version := range waiting {
				w.Board.rows[id].tell(version)
			}
			t.retried.Add(int64(len(waiting)))
			clear(waiting)
		}
		_ = swarmtest.Pause(ctx, rand.N(16*time.Millisecond))
	}
}

// recover tells how long it takes after each fault until the cache works again: it
// knows of every change, no removal waits, and it reads and removes what is on the
// server. A machine that is too slow for that is one more fault, which begins anew
// whenever it is: what came before is held against it.
func (w *worker) recover(ctx context.Context) {
	me := w.me()
	for ctx.Err() == nil {
		if epoch := w.Board.epoch.Load(); me.recovered.Load() < epoch {
			w.recoverFrom(ctx, epoch)
		}
		_ = swarmtest.Pause(ctx, 5*time.Millisecond)
	}
}

// recoverFrom waits until the cache works again, and says what it waited for if that
// took long.
func (w *worker) recoverFrom(ctx context.Context, epoch int64) {
	var lacking []string
	for began := time.Now(); ctx.Err() == nil; _ = swarmtest.Pause(ctx, 5*time.Millisecond) {
		what := w.lacks(ctx, began)
		over, well := w.Board.over.Load(), now()
		if what == "" {
			me, slow := w.me(), w.machine.slowUntil(well)
			me.took.Store(well - over)
			me.held.Store(max(0, slow-over))
			me.recovered.Store(epoch)
			if time.Duration(well-max(over, slow)) > recoveryLimit {
				w.Say("phase %d: it took %v until all was well: %s", w.Board.phase.Load(), time.Duration(well-over), strings.Join(lacking, ", "))
			}
			return
		}
		what = fmt.Sprintf("%s at %v", what, time.Duration(well-over).Round(time.Millisecond))
		if n := len(lacking); n > 1 && strings.HasPrefix(lacking[n-1], what[:strings.Index(what, " at")]) {
			lacking[n-1] = what // the last of a kind
		} else {
			lacking = append(lacking, what)
		}
	}
}

// lacks returns what is not well yet, of what was so at began.
func (w *worker) lacks(ctx context.Context, began time.Time) string {
	switch {
	case w.Task.Subject != "naive" && !w.subject.settled():
		return "removals wait"
	case !w.subject.well(began):
		return "no contact"
	}
	return w.works(ctx)
}

// works returns what goes wrong when a key is removed and is read from Redis.
func (w *worker) works(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	key := fmt.Sprintf("probe%d", w.Number)
	began := time.Now()
	if err := w.subject.remove(ctx, key); err != nil {
		return fmt.Sprintf("a removal fails after %v (%v)", time.Since(began).Round(time.Millisecond), err)
	}
	removed, loads := time.Since(began).Round(time.Millisecond), 0
	for range 3 {
		_, err := w.subject.get(ctx, key, func(_ context.Context, e *cache.Entry) (item, error) {
			loads++
			return item{}, nil
		})
		if err != nil {
			return fmt.Sprintf("a read fails (%v)", err)
		}
	}
	if loads != 1 {
		return fmt.Sprintf("%d loads for 3 reads, after a removal that took %v", loads, removed)
	}
	return ""
}

func (w *worker) phase() *tally { return &w.Board.tallies[w.Board.phase.Load()] }

func (w *worker) me() *node { return &w.Board.nodes[w.Number] }

// report says what the test counts, a few times.
func (w *worker) report(format string, args ...any) {
	if w.Board.reports.Add(1) <= mostReports {
		w.Say(format, args...)
	}
}
