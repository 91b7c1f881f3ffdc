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
// If the cache cannot be reached the write goes ahead without a mark: a cache that
// comes back with what it had before shows the old entry until its TTL has passed.
//
// All processes that read or write these entities must share the queue: with a
// memory queue that is one process, and its cache should end with it, too, or what
// is lost with the queue stays readable. What else reads the source sees writes
// when they are flushed.
//
// # What depends on it
//
// Entity.Dependents are expired when the source is written, for then a list that
// is loaded from it changes. Until then lists show what was flushed; the entities in
// them, found by their ids, are up to date.
//
// # Transactions
//
// What is saved with the context of a Transact of this package goes into the queue
// after its commit, and never if it is rolled back.
type WriteBehind[K comparable, V any] struct {
	inner   Repository[K, V]
	queue   queue.Queue
	letters queue.DeadLetters
	flusher queue.Flusher
	entity  Entity[K, V]
	cache   cache.Cache          // nil: nothing is cached
	loading *cache.Loading[K, V] // nil if cache is
	regions cache.Regions        // nil if nothing depends on the entities
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
// must be closed. c may be nil: then nothing is cached, and a CacheAside may be put
// around, except with Merge: its entries are not told of dead letters, so until their
// TTL readers may find what the source refused. entity.Dependents need c here, for they
// expire when the source is written.
// The queue must have queue.DeadLetters and queue.Flusher, and hold nothing
// else; it stays the caller's, who closes it after the WriteBehind. opts may be
// nil.
//
// It asks the queue's Preflight first, if it has one; ctx is for that only. The
// error wraps cache.ErrInvalidConfig for bad arguments, errors.ErrUnsupported for a
// queue that cannot do what is asked, queue.ErrVolatile for one that may lose
// writes, or is ErrComposition if inner caches, or is a WriteBehind, already.
func NewWriteBehind[K comparable, V any](ctx context.Context, c cache.Cache, inner Repository[K, V], q queue.Queue, entity Entity[K, V], opts *WriteBehindOptions[K, V]) (*WriteBehind[K, V], error) {
	w := &WriteBehind[K, V]{inner: inner, queue: q, entity: entity, cache: c,
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
	if entity.Dependents != nil {
		w.regions, _ = cache.As[cache.Regions](c)
	}
	w.start()
	return w, nil
}

// check reports all that is wrong, and asks the queue whether it is fit.
func (w *WriteBehind[K, V]) check(ctx context.Context) (err error) {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	var errs []error
	if w.opts, err = w.opts.withDefaults(); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, checkComposition(w.inner, layerBehind), w.checkQueue(), w.checkCache())
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

// checkCache makes the view of the cache.
func (w *WriteBehind[K, V]) checkCache() error {
	if w.entity.Intents != nil {
		return refuse("Entity.Intents", "a store of them", "are for wrappers that write the source")
	}
	if w.cache == nil && w.entity.Dependents == nil {
		return nil
	}
	if err := w.entity.check(w.cache); err != nil {
		return err
	}
	w.loading = cache.NewLoading(w.cache, w.loadEntry, &cache.LoadingOptions[K, V]{
		TypedOptions: w.entity.Typed, AppendKey: w.entity.AppendKey, LoadMany: w.loadEntries,
	})
	return w.loading.Typed().Check()
}

func (w *WriteBehind[K, V]) layers() layer {
	kind := layerBehind | layersOf(w.inner)
	if w.cache != nil {
		kind |= layerCaching
	}
	if w.opts.Merge != nil {
		kind |= layerSums
	}
	return kind
}

func (w *WriteBehind[K, V]) checkQueue() error {
	if w.queue == nil {
		return refuse("queue", nil, "must not be nil")
	}
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
	if applierOf(w.inner) != nil && w.opts.WhenFull == FullWriteThrough && !sequenced {
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
// in the queue, or else the source's. A queued deletion is cache.ErrNotFound. If
// the queue cannot be asked the error is its own: what the source has may be older
// than what was acknowledged.
//
// With WriteBehindOptions.Merge it is what the source has and all queued
// increments, as one. While an increment is being written it may be counted
// twice; such a value is not cached. Each Save removes the cached sum: it cannot be
// added to in its place, since another process may add to it between a look at it and
// the mark. So the next Find asks the queue and the source, and while the source is
// unavailable its error is that of the source, though the increments are safe in the
// queue. Keep an entry of its own, with cache.Freshness.StaleIfError, for sums that
// are to be shown even then.
func (w *WriteBehind[K, V]) Find(ctx context.Context, id K) (V, error) {
	var zero V
	if err := cache.CheckContext(ctx); err != nil {
		return zero, err
	}
	if pending := w.pending(ctx); pending != nil {
		found, err := pending.find(ctx, []K{id})
		if v, ok := found[id]; ok || err != nil {
			return v, err
		}
		return zero, cache.ErrNotFound
	}
	if w.loading != nil {
		return w.loading.Get(ctx, id)
	}
	value, _, err := w.load(ctx, id)
	return value, err
}

// loadEntry brings what the cache does not have.
func (w *WriteBehind[K, V]) loadEntry(ctx context.Context, id K, e *cache.Entry) (V, error) {
	value, sure, err := w.load(ctx, id)
	if err == nil {
		w.describe(id, value, sure, e)
	}
	return value, err
}

// describe says how the entry of a value is kept.
func (w *WriteBehind[K, V]) describe(id K, value V, sure bool, e *cache.Entry) {
	opts, keep := w.entity.options(id, value)
	tokens := opts.Tokens
	opts.Tokens = nil
	e.EntryOptions, e.NoStore = opts, !keep || !sure
	if len(tokens) > 0 {
		e.AddToken(tokens...)
	}
}

// load finds id in the queue and, if need be, in the source. sure is false if
// the value may count an increment twice.
func (w *WriteBehind[K, V]) load(ctx context.Context, id K) (value V, sure bool, err error) {
	found, unsure, err := w.loadMany(ctx, []K{id})
	if err != nil {
		return value, false, err
	}
	value, ok := found[id]
	if !ok {
		return value, false, cache.ErrNotFound
	}
	return value, !unsure[id], nil
}

// FindMany returns the values of ids as Find does, without those that neither the
// queue nor the source has. It asks the source for all others at once, if that is a
// ManyFinder.
func (w *WriteBehind[K, V]) FindMany(ctx context.Context, ids []K) (map[K]V, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if pending := w.pending(ctx); pending != nil {
		return pending.find(ctx, ids)
	}
	if w.loading != nil {
		return w.loading.GetMany(ctx, ids)
	}
	found, _, err := w.loadMany(ctx, ids)
	return found, err
}

func (w *WriteBehind[K, V]) loadEntries(ctx context.Context, ids []K, e *cache.Entry) (map[K]V, error) {
	found, unsure, err := w.loadMany(ctx, ids)
	for i, id := range ids {
		if v, ok := found[id]; ok {
			w.describe(id, v, !unsure[id], e.At(i))
		}
	}
	return found, err
}

func (w *WriteBehind[K, V]) loadMany(ctx context.Context, ids []K) (found map[K]V, unsure map[K]bool, err error) {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = w.entity.Key(id)
	}
	states, err := w.queue.Lookup(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	queued := make(map[K]overlay[V], len(ids))
	var ask []K
	for i, id := range ids {
		seen, err := w.overlay(states[i])
		if err != nil {
			return nil, nil, err
		}
		if _, again := queued[id]; !again && !seen.whole {
			ask = append(ask, id)
		}
		queued[id] = seen
	}
	values, err := w.source.findMany(ctx, ask)
	if err != nil {
		return nil, nil, err
	}
	found, unsure = make(map[K]V, len(ids)), make(map[K]bool)
	for id, seen := range queued {
		below, ok := values[id]
		if v, ok := w.over(seen, below, ok); ok {
			found[id] = v
		}
		unsure[id] = seen.written
	}
	return found, unsure, nil
}

// over returns what is seen of an entity of which the source has below, if it
// does.
func (w *WriteBehind[K, V]) over(seen overlay[V], below V, has bool) (V, bool) {
	switch {
	case seen.whole || seen.has && !has:
		return seen.value, seen.has
	case seen.has:
		return w.opts.Merge(below, seen.value), true
	}
	return below, has
}

// overlay is what is queued of an entity.
type overlay[V any] struct {
	value   V
	has     bool // value
	whole   bool // the source need not be asked
	written bool // an increment in it may be in the source already
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

// behindTick is how often writers that wait for room look again, beside being
// told by this process's workers.
const behindTick = 50 * time.Millisecond
