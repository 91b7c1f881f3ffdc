package patterns

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// WriteBehind is a repository whose writes are acknowledged by a queue and reach
// the source later, in batches: for values that change more often than the
// source can, or need, be written.
//
// # What is promised
//
// A write that returned nil is in the queue, and leaves it only for the source or
// the dead letters, or because a newer write of its key took its place; how much
// that survives is the queue's: see queue.NewMemory and the durable ones. Reads
// through any WriteBehind on the same queue see it from then on, whether or not
// its entry stays in the cache. The source gets each key's writes in order, at
// least once. Give it the sequences (see Applier) if it must absorb repeated and
// late ones: a worker that is suspended while it writes may wake when others have
// gone on.
//
// # The order of a write
//
// Under a write mark the write is put into the queue, and then the value into the
// cache. Before the queue has it nobody sees it. If the process dies between the
// two the mark runs out and the entry is gone: readers then find the write in the
// queue. A load in flight was voided by the mark, and a load that starts after
// looks into the queue first and then into the source; what it finds in neither
// was in the source before it asked.
//
// All processes that read or write these entities must share the queue: with a
// memory queue that is one process. What else reads the source sees writes when
// they are flushed.
type WriteBehind[K comparable, V any] struct {
	inner   Repository[K, V]
	queue   queue.Queue
	letters queue.DeadLetters
	flusher queue.Flusher
	key     func(K) string
	view    *cache.Typed[V] // nil: nothing is cached
	records records[K, V]
	opts    WriteBehindOptions[K, V]
	source  source[K, V]
	counts  behindCounts
	settled notice        // that the queue has got shorter
	kick    chan struct{} // wakes a worker before its interval is over
	stop    context.CancelFunc

	closing chan struct{} // closed by the first Close
	idle    chan struct{} // closed when, after that, no write is on its way into the queue
	ended   chan struct{} // closed when all workers have ended

	mu      sync.Mutex
	closed  bool
	writing int // writes on their way into the queue
	fresh   int // writes since a worker was last woken for a full batch
	enough  int // so many of them make it likely that a batch is full
}

var (
	_ Repository[int, int] = (*WriteBehind[int, int])(nil)
	_ ManyFinder[int, int] = (*WriteBehind[int, int])(nil)
)

// NewWriteBehind wraps inner, starts the workers and returns the repository; it
// must be closed. Key names the entities, in the cache and in the queue, and must
// give distinct ids distinct keys. View may be nil: then nothing is cached, and a
// CacheAside may be put on top. The queue must have queue.DeadLetters and
// queue.Flusher; it stays the caller's, who closes it after the WriteBehind.
//
// It asks the queue's Preflight first, if it has one. ctx is for that only.
func NewWriteBehind[K comparable, V any](ctx context.Context, inner Repository[K, V], q queue.Queue, key func(K) string, view *cache.Typed[V], opts *WriteBehindOptions[K, V]) (*WriteBehind[K, V], error) {
	w := &WriteBehind[K, V]{inner: inner, queue: q, key: key, view: view,
		closing: make(chan struct{}), idle: make(chan struct{}), ended: make(chan struct{})}
	if opts != nil {
		w.opts = *opts
	}
	if err := w.check(ctx); err != nil {
		return nil, err
	}
	w.records = records[K, V]{ids: w.opts.IDs, values: w.opts.Values}
	w.source = newSource(inner, &w.opts)
	w.enough = w.opts.BatchSize
	w.start()
	return w, nil
}

// check reports all that is wrong, and asks the queue whether it is fit.
func (w *WriteBehind[K, V]) check(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	var errs []error
	for name, missing := range map[string]bool{"inner": w.inner == nil, "queue": w.queue == nil, "key": w.key == nil} {
		if missing {
			errs = append(errs, &cache.OptionError{Option: name, Reason: "must not be nil", Err: cache.ErrInvalidConfig})
		}
	}
	var err error
	if w.opts, err = w.opts.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	if w.queue != nil {
		errs = append(errs, w.checkQueue())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if p, ok := w.queue.(queue.Preflighter); ok {
		err := p.Preflight(ctx)
		if err != nil && !(w.opts.AllowVolatile && errors.Is(err, queue.ErrVolatile)) {
			return fmt.Errorf("larder: write-behind: %w", err)
		}
	}
	return nil
}

func (w *WriteBehind[K, V]) checkQueue() error {
	var letters, flushes bool
	w.letters, letters = w.queue.(queue.DeadLetters)
	w.flusher, flushes = w.queue.(queue.Flusher)
	if !letters || !flushes {
		return fmt.Errorf("larder: a %T has no queue.DeadLetters or no queue.Flusher: %w", w.queue, errors.ErrUnsupported)
	}
	if _, volatile := w.queue.(queue.Volatile); volatile && w.opts.NoWorkers {
		return behindOption("NoWorkers", true, "needs a durable queue")
	}
	_, sequenced := w.queue.(queue.Sequencer)
	if _, applies := any(w.inner).(Applier[K, V]); applies && w.opts.WhenFull == FullWriteThrough && !sequenced {
		return fmt.Errorf("larder: a %T has no queue.Sequencer, which FullWriteThrough needs: %w", w.queue, errors.ErrUnsupported)
	}
	return nil
}

func (w *WriteBehind[K, V]) start() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	workers := w.opts.Workers
	if w.opts.NoWorkers {
		workers = 0
	}
	w.kick = make(chan struct{}, workers)
	var all sync.WaitGroup
	for range workers {
		worker := &behindWorker[K, V]{WriteBehind: w}
		all.Go(func() { worker.run(ctx) })
	}
	go func() {
		<-ctx.Done()
		all.Wait()
		close(w.ended)
	}()
}

// Find returns the value of id: from the cache, or else the newest write of it
// in the queue, or else the source's. A queued deletion is cache.ErrNotFound.
//
// With WriteBehindOptions.Merge it is what the source has and all queued
// increments, as one. While an increment is being written it may be counted
// twice; such a value is not cached.
func (w *WriteBehind[K, V]) Find(ctx context.Context, id K) (V, error) {
	if err := cache.CheckContext(ctx); err != nil {
		var zero V
		return zero, err
	}
	if w.view == nil {
		value, _, err := w.load(ctx, id)
		return value, err
	}
	return w.view.GetOrCreateExclusive(ctx, w.key(id), func(ctx context.Context, e *cache.Entry) (V, error) {
		value, sure, err := w.load(ctx, id)
		e.NoStore = !sure
		return value, err
	})
}

// load finds id in the queue and, if need be, in the source. sure is false if
// the value may count an increment twice.
func (w *WriteBehind[K, V]) load(ctx context.Context, id K) (value V, sure bool, err error) {
	states, err := w.queue.Lookup(ctx, []string{w.key(id)})
	if err != nil {
		return value, false, err
	}
	seen, err := w.overlay(states[0])
	if err != nil || seen.whole {
		return seen.result(err)
	}
	value, err = w.inner.Find(ctx, id)
	if !seen.has || err != nil && !errors.Is(err, cache.ErrNotFound) {
		return value, !seen.written, err
	}
	if err == nil {
		seen.value = w.opts.Merge(value, seen.value)
	}
	return seen.value, !seen.written, nil
}

// FindMany returns the values of ids as Find does, those that neither the queue
// nor the source has left out. Of the source it asks for all at once, if that is
// a ManyFinder.
func (w *WriteBehind[K, V]) FindMany(ctx context.Context, ids []K) (map[K]V, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if w.view == nil {
		found, _, err := w.loadMany(ctx, ids)
		return found, err
	}
	return cache.GetOrCreateMany(ctx, w.view, ids, w.key, func(ctx context.Context, ids []K, e *cache.Entry) (map[K]V, error) {
		found, unsure, err := w.loadMany(ctx, ids)
		for i, id := range ids {
			e.At(i).NoStore = unsure[id]
		}
		return found, err
	})
}

func (w *WriteBehind[K, V]) loadMany(ctx context.Context, ids []K) (found map[K]V, unsure map[K]bool, err error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = w.key(id)
	}
	states, err := w.queue.Lookup(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	found, unsure = make(map[K]V, len(ids)), make(map[K]bool)
	queued := make(map[K]overlay[V])
	var ask []K
	for i, id := range ids {
		seen, err := w.overlay(states[i])
		switch {
		case err != nil:
			return nil, nil, err
		case !seen.whole:
			ask = append(ask, id)
			queued[id] = seen
		case seen.has:
			found[id] = seen.value
		}
	}
	values, err := w.source.findMany(ctx, ask)
	if err != nil {
		return nil, nil, err
	}
	for id, seen := range queued {
		value, ok := values[id]
		if ok && seen.has {
			value = w.opts.Merge(value, seen.value)
		} else if seen.has {
			value = seen.value
		}
		if ok || seen.has {
			found[id] = value
		}
		unsure[id] = seen.written
	}
	return found, unsure, nil
}

// overlay is what is queued of an entity.
type overlay[V any] struct {
	value   V
	has     bool // value
	whole   bool // the source need not be asked
	written bool // an increment in it may be in the source already
}

func (o overlay[V]) result(err error) (V, bool, error) {
	if err == nil && !o.has {
		err = cache.ErrNotFound
	}
	return o.value, err == nil && !o.written, err
}

func (w *WriteBehind[K, V]) overlay(st queue.State) (o overlay[V], err error) {
	if w.opts.Merge == nil {
		newest := st.Newest()
		if newest == nil {
			return o, nil
		}
		r, err := w.records.decode(newest.Payload)
		return overlay[V]{value: r.value, has: r.has, whole: true}, err
	}
	for _, it := range [...]*queue.Item{st.Ahead, st.Open} {
		if it == nil {
			continue
		}
		r, err := w.records.decode(it.Payload)
		if err != nil {
			return o, err
		}
		switch {
		case !r.has || r.fresh:
			o = overlay[V]{value: r.value, has: r.has, whole: true}
		case o.has:
			o.value = w.opts.Merge(o.value, r.value)
		default:
			o.value, o.has = r.value, true
			o.written = it == st.Ahead
		}
	}
	return o, nil
}

// behindTick is how often Flush, Close and writers that wait for room look
// again, beside being told by this process's workers.
const behindTick = 50 * time.Millisecond
