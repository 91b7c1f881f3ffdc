package stress_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// workerEnv holds an assignment where the test binary shall be a worker.
const workerEnv = "LARDER_STRESS_WORKER"

const (
	writersEach = 2
	readersEach = 12
	patientEach = 3 // of the readers; the others would rather go on with another key
	patience    = 30 * time.Millisecond
	mostReports = 3 // of one run
)

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(workerEnv); ok {
		os.Exit(work(text))
	}
	goleak.VerifyTestMain(m)
}

// assignment is what a worker is told.
type assignment struct {
	Subject string
	Addr    string // of Redis
	Board   string // its file
	Seed    uint64 // of the run
	Process int64  // which of the run's workers it is
}

// worker is one process that reads and writes until its standard input ends.
type worker struct {
	assignment
	board   *board
	cache   *distributed.Cache
	subject subject
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
	if err := errors.Join(goleak.Find(), unmap()); err != nil {
		w.fail("in the end: %v", err)
	}
	if w.failed.Load() {
		return 1
	}
	return 0
}

// run opens the cache, uses it until standard input ends, and closes it.
func (w *worker) run() {
	client := redis.NewClient(&redis.Options{
		Addr: w.Addr, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c, err := distributed.New(client, &distributed.Options{Budget: time.Minute, BreakerFailures: -1, CloseClient: true})
	if err != nil {
		w.fail("cannot open the cache: %v", err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	w.cache = c
	seed := w.Seed + uint64(w.Process)
	w.subject = subjects()[w.Subject](ctx, c, &source{board: w.board, process: w.Process, seed: seed})

	var all sync.WaitGroup
	all.Go(func() {
		defer stop()
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the test says so, or is no more
	})
	all.Go(func() { w.publish(ctx) })
	quiet := rand.New(rand.NewPCG(seed, 1<<32))
	all.Go(func() { w.writeQuietly(ctx, quiet) })
	for g := range uint64(readersEach + writersEach) {
		rng := rand.New(rand.NewPCG(seed, ^g))
		switch {
		case g < writersEach:
			all.Go(func() { w.write(ctx, rng) })
		case g < writersEach+patientEach:
			all.Go(func() { w.read(ctx, rng, time.Minute) })
		default:
			all.Go(func() { w.read(ctx, rng, patience) })
		}
	}
	all.Wait()
	within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := c.Close(within); err != nil {
		w.fail("close: %v", err)
	}
}

// publish brings to the board what the cache counts.
func (w *worker) publish(ctx context.Context) {
	var before cache.Stats
	for over := false; !over; {
		over = pause(ctx, 10*time.Millisecond) != nil
		now := w.cache.Stats()
		w.board.add(joined, int64(now.LoadsShared-before.LoadsShared))
		w.board.add(fillsRefused, int64(now.FillsRefused-before.FillsRefused))
		w.board.add(joinsRefused, int64(now.JoinsRefused-before.JoinsRefused))
		before = now
	}
}

// read reads keys until ctx ends, and waits for each no longer than patience: a
// process that was killed while it loaded a key keeps others waiting for it.
func (w *worker) read(ctx context.Context, rng *rand.Rand, patience time.Duration) {
	for ctx.Err() == nil {
		var err error
		patient, leave := context.WithTimeout(ctx, patience)
		call, cancel := hurried(patient, rng, time.Millisecond)
		if rng.IntN(16) == 0 {
			err = w.readMany(call, rng)
		} else {
			err = w.readOne(call, pick(rng))
		}
		ended := call.Err()
		cancel()
		leave()
		switch {
		case err != nil && ended != nil:
			w.board.add(left, 1)
		case err != nil:
			w.fail("read: %v", err)
		}
	}
}

func (w *worker) readOne(ctx context.Context, k int) error {
	floor := w.floorOf(k)
	got, found, err := w.subject.get(ctx, k)
	if err == nil && found {
		w.judge(k, floor, got)
	}
	return err
}

func (w *worker) readMany(ctx context.Context, rng *rand.Rand) error {
	ids := make([]int, 2+rng.IntN(7))
	floors := make(map[int]int64, len(ids))
	for i := range ids {
		ids[i] = pick(rng)
		floors[ids[i]] = w.floorOf(ids[i])
	}
	rows, err := w.subject.getMany(ctx, ids)
	for k, got := range rows {
		w.judge(k, floors[k], got)
	}
	if err == nil && len(rows) != len(floors) {
		return fmt.Errorf("got %d rows for %d keys", len(rows), len(floors))
	}
	return err
}

// floorOf returns the oldest version that a read of key k may get which starts now.
func (w *worker) floorOf(k int) int64 {
	floor, outlives := w.board.rows[k].least()
	if outlives {
		w.board.add(outlived, 1)
	}
	return floor
}

// judge counts a read of key k that started when the floor was as given.
func (w *worker) judge(k int, floor int64, got item) {
	w.board.add(reads, 1)
	if isRegional(k) {
		w.board.add(regionalReads, 1)
	}
	if got.Key == k && got.Version >= floor {
		return
	}
	w.board.add(stale, 1)
	if w.board.reported.Add(1) <= mostReports {
		r := &w.board.rows[k]
		r.note(w.Process, opStale, got.Version)
		w.say("stale read of %s key %d: got version %d of key %d, want at least %d; the source has %d; seed %d; what happened to the key:%s",
			kindOf(k), k, got.Version, got.Key, floor, r.version.Load(), w.Seed, r.history())
	}
}

// fail reports what should not happen to any subject.
func (w *worker) fail(format string, args ...any) {
	w.failed.Store(true)
	w.say(format, args...)
}

// say writes to the test, in one piece.
func (w *worker) say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, "process %d: %s\n", w.Process, fmt.Sprintf(format, args...)) // if nobody listens the exit status tells
}

// hurried returns the context of one call, which now and then ends within most,
// maybe before the call can.
func hurried(ctx context.Context, rng *rand.Rand, most time.Duration) (context.Context, context.CancelFunc) {
	if rng.IntN(64) != 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, upTo(rng, most))
}
