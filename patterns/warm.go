package patterns

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// Defaults of WarmOptions.
const (
	DefaultWarmConcurrency = 4
	DefaultWarmBatch       = 100
)

// WarmOptions configure Warm. The zero value means the defaults. A panic of Progress or
// OnError is contained: they are there to look on.
type WarmOptions[K comparable] struct {
	// Concurrency is how many batches are looked up at the same time. Zero:
	// DefaultWarmConcurrency.
	Concurrency int

	// Batch is how many ids are looked up at once. Zero: DefaultWarmBatch.
	Batch int

	// Progress, if not nil, is told after each batch, never by two goroutines at
	// once. It must not block for long: the next batch waits.
	Progress func(p WarmProgress)

	// OnError, if not nil, is told of each id that could not be looked up, never by
	// two goroutines at once. The others go on.
	OnError func(id K, err error)
}

// WarmProgress is how far a Warm has come. Done is the sum of the others.
type WarmProgress struct {
	Done    int // ids so far
	Found   int // are cached now, unless ShouldCache or the cache's limit says otherwise
	Missing int // the source does not have
	Failed  int // could not be looked up
}

// Warm looks up all ids, so that they are cached: those that already are cost no
// load. It never puts an older value over a newer one, since what it stores goes
// through the same leases as every load. It returns when all are done or ctx has
// ended; then the error is the context's. ids is read by the caller's goroutine; its
// panic is the caller's, too, once the look-ups under way are over.
func Warm[K comparable, V any](ctx context.Context, entities ManyFinder[K, V], ids iter.Seq[K], opts WarmOptions[K]) (WarmProgress, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return WarmProgress{}, err
	}
	if entities == nil || ids == nil {
		return WarmProgress{}, refuse("entities and ids", nil, "must not be nil")
	}
	if opts.Concurrency < 0 || opts.Batch < 0 {
		return WarmProgress{}, refuse("WarmOptions", min(opts.Concurrency, opts.Batch), "must not be negative")
	}
	if opts.Concurrency == 0 {
		opts.Concurrency = DefaultWarmConcurrency
	}
	if opts.Batch == 0 {
		opts.Batch = DefaultWarmBatch
	}
	w := &warming[K, V]{entities: entities, opts: opts}
	batches := make(chan []K)
	var all sync.WaitGroup
	for range opts.Concurrency {
		all.Go(func() {
			for batch := range batches {
				w.batch(ctx, batch)
			}
		})
	}
	func() {
		defer all.Wait()
		defer close(batches) // also if ids panics
		w.split(ctx, ids, batches)
	}()
	return w.progress, ctx.Err()
}

// warming is one run of Warm.
type warming[K comparable, V any] struct {
	entities ManyFinder[K, V]
	opts     WarmOptions[K]

	mu       sync.Mutex
	progress WarmProgress
}

func (w *warming[K, V]) split(ctx context.Context, ids iter.Seq[K], batches chan<- []K) {
	var batch []K
	send := func() bool {
		select {
		case batches <- batch:
			batch = nil
			return true
		case <-ctx.Done():
			return false
		}
	}
	for id := range ids {
		if batch = append(batch, id); len(batch) == w.opts.Batch && !send() {
			return
		}
	}
	if len(batch) > 0 {
		send()
	}
}

// batch looks ids up at once, and one by one if that fails, to tell which do.
func (w *warming[K, V]) batch(ctx context.Context, ids []K) {
	found, err := w.entities.FindMany(ctx, ids)
	if err == nil {
		w.report(ids, found, nil)
		return
	}
	found, failed := make(map[K]V), make(map[K]error)
	for _, id := range ids {
		if ctx.Err() != nil {
			return
		}
		one, err := w.entities.FindMany(ctx, []K{id})
		if err != nil {
			failed[id] = err
		}
		maps.Copy(found, one)
	}
	w.report(ids, found, failed)
}

func (w *warming[K, V]) report(ids []K, found map[K]V, failed map[K]error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.progress.Done++
		if _, ok := found[id]; ok {
			w.progress.Found++
		} else if failed[id] != nil {
			w.progress.Failed++
		} else {
			w.progress.Missing++
		}
	}
	if w.opts.OnError != nil {
		for id, err := range failed {
			shielded(func() { w.opts.OnError(id, err) })
		}
	}
	if w.opts.Progress != nil {
		shielded(func() { w.opts.Progress(w.progress) })
	}
}

// Schedule runs a task, such as Warm, at the start and then again and again, never
// twice at a time. Close it.
type Schedule struct {
	stop context.CancelFunc
	done chan struct{}
}

// NewSchedule runs task now, and then each time that interval has passed since it
// returned, give or take a tenth, so that processes started together do not run
// together. An error, or panic, of task goes to onError, which may be nil and whose own
// panic is contained, and the task runs again the next time. The task's context ends
// with Close.
func NewSchedule(interval time.Duration, task func(ctx context.Context) error, onError func(err error)) (*Schedule, error) {
	if interval <= 0 {
		return nil, refuse("interval", interval, "must be positive")
	}
	if task == nil {
		return nil, refuse("task", nil, "must not be nil")
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Schedule{stop: stop, done: make(chan struct{})}
	go s.run(ctx, interval, task, onError)
	return s, nil
}

func (s *Schedule) run(ctx context.Context, interval time.Duration, task func(context.Context) error, onError func(error)) {
	defer close(s.done)
	for {
		err := contained(func() error { return task(ctx) })
		if ctx.Err() != nil {
			return
		}
		if err != nil && onError != nil {
			shielded(func() { onError(err) })
		}
		select {
		case <-time.After(interval - interval/10 + rand.N(interval/5+1)):
		case <-ctx.Done():
			return
		}
	}
}

// contained makes a panic of f an error.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errTaskPanicked
		}
	}()
	return f()
}

var errTaskPanicked = errors.New("larder: the scheduled task panicked")

// Close ends the task's context and waits until it has returned or ctx ends. It is
// idempotent.
func (s *Schedule) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
