package stress_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/swarmtest"
)

const (
	writersEach = 2
	readersEach = 12
	patientEach = 3 // of the readers; the others would rather go on with another key
	patience    = 30 * time.Millisecond
	mostReports = 3 // of one run
)

func TestMain(m *testing.M) {
	swarmtest.Main(func(ctx context.Context, w *swarmtest.Worker[assignment, board]) { (&worker{Worker: w}).run(ctx) })
	goleak.VerifyTestMain(m)
}

// assignment is what a worker is told.
type assignment struct {
	Subject string
	Addr    string // of Redis
	Seed    uint64 // of the run
}

// worker is one process that reads and writes until it is told to end.
type worker struct {
	*swarmtest.Worker[assignment, board]
	cache   *distributed.Cache
	subject subject
}

// run opens the cache, uses it until ctx ends, and closes it.
func (w *worker) run(ctx context.Context) {
	client := redis.NewClient(&redis.Options{
		Addr: w.Task.Addr, ContextTimeoutEnabled: true, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	c, err := distributed.New(client, &distributed.Options{Budget: time.Minute, BreakerFailures: -1, CloseClient: true})
	if err != nil {
		w.Fail("cannot open the cache: %v", err)
		return
	}
	w.cache = c
	seed := w.Task.Seed + uint64(w.Number)
	w.subject = subjects()[w.Task.Subject](ctx, c, &source{board: w.Board, process: w.Number, seed: seed})

	var all sync.WaitGroup
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
		w.Fail("close: %v", err)
	}
}

// publish brings to the board what the cache counts.
func (w *worker) publish(ctx context.Context) {
	var before cache.Stats
	for over := false; !over; {
		over = swarmtest.Pause(ctx, 10*time.Millisecond) != nil
		now := w.cache.Stats()
		w.Board.add(joined, int64(now.LoadsShared-before.LoadsShared))
		w.Board.add(fillsRefused, int64(now.FillsRefused-before.FillsRefused))
		w.Board.add(joinsRefused, int64(now.JoinsRefused-before.JoinsRefused))
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
			w.Board.add(left, 1)
		case err != nil:
			w.Fail("read: %v", err)
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
	floor, outlives := w.Board.rows[k].least()
	if outlives {
		w.Board.add(outlived, 1)
	}
	return floor
}

// judge counts a read of key k that started when the floor was as given.
func (w *worker) judge(k int, floor int64, got item) {
	w.Board.add(reads, 1)
	if isRegional(k) {
		w.Board.add(regionalReads, 1)
	}
	if got.Key == k && got.Version >= floor {
		return
	}
	w.Board.add(stale, 1)
	if w.Board.reported.Add(1) <= mostReports {
		r := &w.Board.rows[k]
		r.note(w.Number, opStale, got.Version)
		w.Say("stale read of %s key %d: got version %d of key %d, want at least %d; the source has %d; seed %d; what happened to the key:%s",
			kindOf(k), k, got.Version, got.Key, floor, r.version.Load(), w.Task.Seed, r.history())
	}
}

// hurried returns the context of one call, which now and then ends within most,
// maybe before the call can.
func hurried(ctx context.Context, rng *rand.Rand, most time.Duration) (context.Context, context.CancelFunc) {
	if rng.IntN(64) != 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, upTo(rng, most))
}
