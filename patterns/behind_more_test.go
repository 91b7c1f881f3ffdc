package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue"
)

// The acknowledgement of an older value must not remove the newer one that came
// while it was being written.
func TestBehindSaveWhileBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{}, nil, nil)
		b.source.block = make(chan struct{})
		b.save(1, "older")
		time.Sleep(time.Second)
		b.save(1, "newer")
		close(b.source.block)
		synctest.Wait()
		b.source.has(t, map[int]string{1: "older"})
		b.finds(1, "newer")
		b.flush()
		b.source.has(t, map[int]string{1: "newer"})
	})
}

// A value that failed must not be tried again after a newer one.
func TestBehindOrderAcrossRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Workers: 3}, nil, nil)
		b.source.fail = func(_ int, v string) error {
			if rand.IntN(2) == 0 {
				return errors.New("bad luck")
			}
			return nil
		}
		for i := range 200 {
			b.save(i%3, fmt.Sprintf("%04d", i))
			time.Sleep(patterns.DefaultFlushInterval / 3)
		}
		b.flush()
		for _, got := range b.source.history {
			if !slices.IsSorted(got) {
				t.Errorf("the source got %q, want them in order", got)
			}
		}
		b.source.has(t, map[int]string{0: "0198", 1: "0199", 2: "0197"})
	})
}

// Random calls must be answered as by a map, whatever the source and the cache
// do.
func TestBehindAgainstAModel(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			b := newBehindBench(t, behindOptions{MaxAttempts: 1000, BatchSize: 3, Workers: 2}, nil, func(s *shelf) patterns.Repository[int, string] {
				if seed%2 == 0 {
					return &batchShelf{shelf: s}
				}
				return s
			})
			b.source.fail = func(int, string) error {
				if rng.IntN(3) == 0 { // under the source's lock
					return errors.New("bad luck")
				}
				return nil
			}
			model := map[int]string{}
			draw := rand.New(rand.NewPCG(seed, 2))
			for i := range 300 {
				id := draw.IntN(5)
				switch draw.IntN(9) {
				case 0, 1, 2:
					model[id] = fmt.Sprint(i)
					b.save(id, model[id])
				case 3:
					delete(model, id)
					if err := b.Delete(b.ctx, id); err != nil {
						t.Fatal(err)
					}
				case 4:
					_ = b.cache.Clear(b.ctx)
				case 5:
					time.Sleep(time.Duration(draw.IntN(200)) * time.Millisecond)
				case 6:
					found, err := b.FindMany(b.ctx, []int{0, 1, 2, 3, 4})
					if err != nil || fmt.Sprint(found) != fmt.Sprint(model) {
						t.Fatalf("seed %d, step %d: FindMany: got %v, %v; want %v", seed, i, found, err, model)
					}
				default:
					b.finds(id, model[id])
				}
			}
			b.flush()
			b.source.has(t, model)
		})
	}
}

// If the cache dies between the queue and the value, or the process does, nobody
// reads the old value: the mark stands, and when it has run out the entry is gone.
func TestBehindCacheFailsAfterTheQueueHasTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		faults, faulty := cachetest.NewFaults(c, 1)
		source := newShelf()
		source.rows[1] = "old"
		w, err := patterns.NewWriteBehind[int, string](t.Context(), faulty, source, newMemoryQueue(t), shelfEntity, &behindOptions{Interval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = errors.Join(w.Close(t.Context()), c.Close(t.Context())) }()
		b := &behindBench{T: t, WriteBehind: w, ctx: t.Context(), source: source}
		b.finds(1, "old")
		faults.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Ops: []string{"set", "set_object", "end_write"}})
		if err := b.Save(b.ctx, 1, "new"); !errors.Is(err, cache.ErrCommittedCacheDegraded) {
			t.Errorf("Save: got %v, want ErrCommittedCacheDegraded", err)
		}
		b.finds(1, "new")
		time.Sleep(2 * cache.DefaultMarkTTL)
		faults.Plan()
		b.finds(1, "new")
		b.flush()
		source.has(t, map[int]string{1: "new"})
	})
}

func TestBehindSharesAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{Interval: time.Hour}, nil, nil)
		other, err := patterns.NewWriteBehind(b.ctx, b.cache, b.source, b.queue, shelfEntity, &behindOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close(b.ctx) }()
		b.save(1, "one")
		if got, err := other.Find(b.ctx, 1); got != "one" || err != nil {
			t.Errorf("Find elsewhere: got %q, %v; want the unflushed write", got, err)
		}
		time.Sleep(time.Second)
		b.source.has(t, map[int]string{1: "one"}) // the other wrote it
	})
}

func TestBehindCallbacksMayPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		told := 0
		events := map[string]int{}
		source := newShelf()
		source.fail = func(int, string) error { return errors.New("no") }
		w, err := patterns.NewWriteBehind(t.Context(), nil, source, newMemoryQueue(t), shelfEntity, &behindOptions{
			MaxAttempts: 2,
			OnDead:      func(context.Context, patterns.DeadLetter[int, string]) { panic("dead") },
			OnError:     func(context.Context, error) { mu.Lock(); told++; mu.Unlock(); panic("error") },
			Classify:    func(error) patterns.Verdict { panic("verdict") },
			Observer: cache.ObserverFunc(func(_ context.Context, e cache.Event) {
				mu.Lock()
				defer mu.Unlock()
				events[e.Layer+" "+e.Kind.String()]++
				panic("observer")
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Close(t.Context()) }()
		b := &behindBench{T: t, WriteBehind: w, ctx: t.Context(), source: source}
		b.save(1, "one")
		b.flush()
		st := b.stats()
		if told != 2 || st.Errors != 2 || st.Panics < 3 || st.Queue.Dead != 1 {
			t.Errorf("got %d errors told, %d counted, %d panics, %d dead; want 2, 2, 3 or more, 1", told, st.Errors, st.Panics, st.Queue.Dead)
		}
		if want := map[string]int{"behind queue_error": 2, "behind dead_letter": 1}; !maps.Equal(events, want) {
			t.Errorf("observed %v, want %v", events, want)
		}
	})
}

// unfit is a queue with a Preflight that fails.
type unfit struct {
	*queue.Memory
	err error
}

func (q unfit) Preflight(context.Context) error { return q.err }

func TestBehindPreflight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := func(reason error, allow bool) error {
			w, err := patterns.NewWriteBehind(t.Context(), nil, newShelf(), unfit{newMemoryQueue(t), reason}, shelfEntity, &behindOptions{AllowVolatile: allow})
			if err == nil {
				err = w.Close(t.Context())
			}
			return err
		}
		volatile, down := fmt.Errorf("%w: it evicts", queue.ErrVolatile), errors.New("down")
		for _, c := range []struct {
			reason error
			allow  bool
			want   error
		}{{nil, false, nil}, {volatile, false, queue.ErrVolatile}, {volatile, true, nil}, {down, true, down}} {
			if err := open(c.reason, c.allow); !errors.Is(err, c.want) {
				t.Errorf("a queue with %v, allowed %t: got %v, want %v", c.reason, c.allow, err, c.want)
			}
		}
	})
}

// bare is a queue with nothing but the five methods.
type bare struct{ queue.Queue }

func TestBehindRefusesBadArguments(t *testing.T) {
	q := newMemoryQueue(t)
	open := func(change func(o *behindOptions)) error {
		o := behindOptions{}
		change(&o)
		_, err := patterns.NewWriteBehind(t.Context(), nil, newShelf(), q, shelfEntity, &o)
		return err
	}
	_, noInner := patterns.NewWriteBehind[int, string](t.Context(), nil, nil, q, shelfEntity, nil)
	_, noQueue := patterns.NewWriteBehind[int, string](t.Context(), nil, newShelf(), nil, shelfEntity, nil)
	_, noCache := patterns.NewWriteBehind(t.Context(), nil, newShelf(), q, byShelf, nil)
	for name, err := range map[string]error{
		"inner": noInner, "queue": noQueue, "dependents without a cache": noCache,
		"Interval":    open(func(o *behindOptions) { o.Interval = -1 }),
		"BatchSize":   open(func(o *behindOptions) { o.BatchSize = -1 }),
		"Workers":     open(func(o *behindOptions) { o.Workers = -1 }),
		"Visibility":  open(func(o *behindOptions) { o.Visibility = -1 }),
		"MaxAttempts": open(func(o *behindOptions) { o.MaxAttempts = -1 }),
		"Backoff":     open(func(o *behindOptions) { o.Backoff = -1 }),
		"MaxBackoff":  open(func(o *behindOptions) { o.MaxBackoff = -1 }),
		"WhenFull":    open(func(o *behindOptions) { o.WhenFull = 9 }),
		"NoWorkers":   open(func(o *behindOptions) { o.NoWorkers = true }),
	} {
		if !errors.Is(err, cache.ErrInvalidConfig) || !strings.Contains(err.Error(), strings.Split(name, " ")[0]) && name[0] < 'a' {
			t.Errorf("%s: got %v, want ErrInvalidConfig that names it", name, err)
		}
	}
	_, err := patterns.NewWriteBehind(t.Context(), nil, newShelf(), bare{q}, shelfEntity, nil)
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a queue of five methods: got %v, want ErrUnsupported", err)
	}
	if _, err := patterns.NewWriteBehind(nil, nil, newShelf(), q, shelfEntity, nil); !errors.Is(err, cache.ErrNilContext) {
		t.Errorf("no context: got %v, want ErrNilContext", err)
	}
}

// While nothing works, full batches do not wake a worker again and again.
func TestBehindSparesASourceThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{BatchSize: 10}, nil, nil)
		b.source.fail = func(int, string) error { return cache.ErrUnavailable }
		for i := range 1000 {
			b.save(i, "x")
			synctest.Wait()
		}
		if b.source.saves > 5 {
			t.Errorf("the source was asked %d times at once, want hardly more than once", b.source.saves)
		}
	})
}

// A write that failed before must not spoil the batches of others.
func TestBehindRetriesApartFromBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBehindBench(t, behindOptions{MaxAttempts: 1000}, nil, func(s *shelf) patterns.Repository[int, string] {
			return &batchShelf{shelf: s}
		})
		b.source.fail = func(_ int, v string) error {
			if v == "poison" {
				return errors.New("no")
			}
			return nil
		}
		b.save(0, "poison")
		for i := range 20 {
			for id := range 10 {
				b.save(1+id, fmt.Sprint(i))
			}
			time.Sleep(patterns.DefaultFlushInterval)
		}
		b.source.mu.Lock()
		defer b.source.mu.Unlock()
		singles := 0
		for id := 1; id <= 10; id++ {
			singles += len(b.source.history[id])
		}
		if good := b.source.saves - b.source.poisoned; good > 20 {
			t.Errorf("%d of %d good writes came one by one, want those of the first batch only", good, singles)
		}
	})
}
