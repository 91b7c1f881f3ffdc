package patterns

import (
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Save puts v into the queue and then into the cache. nil means that it will
// reach the source: see WriteBehind. After Close it is cache.ErrClosed. A value
// that cannot be encoded is cache.ErrUnencodable, and one that the queue can
// never hold queue.ErrTooLarge. cache.ErrCommittedCacheDegraded means that the
// queue has the write but the cache could not be told: until the write mark runs
// out, or without one the entry's TTL, the old value may be read.
//
// The value is encoded before Save returns; with a cache of objects readers share
// it, and the caller must not change what it points to.
//
// It costs the queue's Enqueue, and two round trips of the cache.
func (w *WriteBehind[K, V]) Save(ctx context.Context, id K, v V) error {
	return w.write(ctx, record[K, V]{id: id, value: v, has: true})
}

// Delete puts the deletion of id into the queue, and is as Save in all else.
func (w *WriteBehind[K, V]) Delete(ctx context.Context, id K) error {
	return w.write(ctx, record[K, V]{id: id})
}

func (w *WriteBehind[K, V]) write(ctx context.Context, r record[K, V]) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if t := transactionOf(ctx); t != nil {
		return w.postpone(t, r)
	}
	return w.accept(ctx, r)
}

// accept puts r into the queue.
func (w *WriteBehind[K, V]) accept(ctx context.Context, r record[K, V]) error {
	if !w.enter() {
		return cache.ErrClosed
	}
	defer w.leave()
	return w.acceptEntered(ctx, r)
}

// acceptEntered is accept for who has entered.
func (w *WriteBehind[K, V]) acceptEntered(ctx context.Context, r record[K, V]) error {
	p := &pendingWrite[K, V]{WriteBehind: w, record: r, key: w.entity.Key(r.id)}
	if err := p.encode(); err != nil {
		return err
	}
	for full := false; ; full = true {
		err := p.guarded(ctx, p.enqueue)
		if full && err != nil && ctx.Err() != nil && !mayBeQueued(err) {
			return errors.Join(ctx.Err(), err, queue.ErrFull)
		}
		if errors.Is(err, queue.ErrFull) && !full {
			w.observe(ctx, cache.Event{Kind: cache.EventQueueFull})
		}
		if !errors.Is(err, queue.ErrFull) || w.opts.WhenFull == FullReject {
			w.wrote(err)
			return err
		}
		if w.opts.WhenFull == FullWriteThrough {
			done, err := p.through(ctx)
			if done {
				return err
			}
		}
		if err := w.waitForRoom(ctx); err != nil {
			return errors.Join(err, queue.ErrFull)
		}
	}
}

// mayBeQueued reports whether a write that ended so is, or may be, in the queue.
func mayBeQueued(err error) bool {
	return errors.Is(err, cache.ErrOutcomeUnknown) || errors.Is(err, cache.ErrCommittedCacheDegraded)
}

// enter counts a write in, unless the repository is being closed.
func (w *WriteBehind[K, V]) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.writing++
	}
	return !w.closed
}

func (w *WriteBehind[K, V]) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing--; w.closed && w.writing == 0 {
		close(w.idle)
	}
}

// shut lets no more writes in.
func (w *WriteBehind[K, V]) shut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	close(w.closing)
	if w.writing == 0 {
		close(w.idle)
	}
}

// wrote wakes a worker if a batch may be full. How many writes that takes is
// learnt: writes of one key fill no batch.
func (w *WriteBehind[K, V]) wrote(err error) {
	if err != nil && !errors.Is(err, cache.ErrCommittedCacheDegraded) {
		return
	}
	w.mu.Lock()
	w.fresh++
	full := w.fresh >= w.enough
	if full {
		w.fresh = 0
	}
	w.mu.Unlock()
	if full {
		w.wake()
	}
}

// maxEnough bounds how many writes a worker is woken for.
const maxEnough = 1 << 20

// woken learns from a batch that a worker was woken for.
func (w *WriteBehind[K, V]) woken(claims int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if claims < w.opts.BatchSize {
		w.enough = min(2*w.enough, maxEnough)
	} else {
		w.enough = max(w.enough/2, w.opts.BatchSize)
	}
}

// wake lets one worker look at the queue now.
func (w *WriteBehind[K, V]) wake() {
	select {
	case w.kick <- struct{}{}:
	default: // there are as many kicks as workers
	}
}

// waitForRoom waits until the queue has got shorter, or may have in another
// process.
func (w *WriteBehind[K, V]) waitForRoom(ctx context.Context) error {
	w.wake()
	w.counts.blocked.Add(1)
	defer w.counts.blocked.Add(-1)
	return w.settled.wait(ctx, w.closing)
}

// pendingWrite is a write on its way into the queue.
type pendingWrite[K comparable, V any] struct {
	*WriteBehind[K, V]
	record  record[K, V]
	key     string
	payload []byte
}

func (p *pendingWrite[K, V]) encode() (err error) {
	p.payload, err = p.records.encode(p.record)
	if err != nil {
		return &cache.OpError{Op: "save", Key: p.key, Err: err}
	}
	return nil
}

// guarded runs accept, which changes what readers find, under a write mark, and
// leaves the new value in the cache, or nothing.
func (p *pendingWrite[K, V]) guarded(ctx context.Context, accept func(ctx context.Context) error) error {
	if p.cache == nil {
		return accept(ctx)
	}
	keys := []string{p.key}
	if p.record.has && p.opts.Merge == nil {
		if opts, keep := p.entity.options(p.record.id, p.record.value); keep {
			_, err := p.loading.Typed().Write(ctx, p.key, opts, func(ctx context.Context) (V, error) {
				return p.record.value, p.lingering(ctx, keys, accept)
			})
			return err
		}
	}
	return p.unfilled(ctx, keys, accept)
}

// unfilled runs change under write marks and leaves nothing in the cache.
func (w *WriteBehind[K, V]) unfilled(ctx context.Context, keys []string, change func(ctx context.Context) error) error {
	if w.cache == nil {
		return change(ctx)
	}
	err := cache.WriteWith(ctx, w.cache, keys, cache.WriteOptions{}, func(ctx context.Context) error {
		return w.lingering(ctx, keys, change)
	})
	if _, told := cache.As[cache.Coordinated](w.cache); told {
		return err
	}
	for _, key := range keys { // ends loads that only the view knows of
		err = errors.Join(err, w.loading.Typed().Remove(ctx, key))
	}
	return err
}

// lingering runs change. If nobody knows what became of it, it may happen yet: then
// further marks are left to run out, so that nothing from before it is cached.
func (w *WriteBehind[K, V]) lingering(ctx context.Context, keys []string, change func(ctx context.Context) error) error {
	err := change(ctx)
	if errors.Is(err, cache.ErrOutcomeUnknown) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cache.DefaultEndTimeout)
		defer cancel()
		if marks, markErr := cache.NewWriting(w.cache, cache.WriteOptions{}); markErr == nil {
			_ = marks.Mark(ctx, keys...) // a cache that is gone stores nothing either
		}
	}
	return err
}

func (p *pendingWrite[K, V]) enqueue(ctx context.Context) error {
	if p.opts.Merge != nil {
		return p.merge(ctx)
	}
	_, err := p.queue.Enqueue(ctx, queue.Write{
		Key: p.key, Payload: p.payload, Deleted: !p.record.has, Mode: p.opts.mode(),
	})
	return err
}

// merge puts an increment, or a deletion, in the place of what is open. Who
// comes between makes it look again: one of them gets on each time.
func (p *pendingWrite[K, V]) merge(ctx context.Context) error {
	for {
		states, err := p.queue.Lookup(ctx, []string{p.key})
		if err != nil {
			return err
		}
		write := queue.Write{Key: p.key, Payload: p.payload, Deleted: !p.record.has, Mode: queue.Merge}
		if open := states[0].Open; open != nil {
			write.Onto = open.Sequence
			if write.Payload, err = p.onto(open); err != nil {
				return err
			}
		}
		if _, err = p.queue.Enqueue(ctx, write); !errors.Is(err, queue.ErrConflict) {
			return err
		}
	}
}

// onto returns the payload that stands for what is open and the new write.
func (p *pendingWrite[K, V]) onto(open *queue.Item) ([]byte, error) {
	if !p.record.has {
		return p.payload, nil
	}
	older, err := p.records.decode(open.Payload)
	if err != nil {
		return nil, &cache.OpError{Op: "save", Key: p.key, Err: err}
	}
	merged := p.record
	merged.fresh = older.fresh || !older.has
	if older.has {
		merged.value = p.opts.Merge(older.value, p.record.value)
	}
	return p.records.encode(merged)
}

// through writes to the source past the full queue. It is not done if older
// writes of the key are queued: they would come after this one. A write of the
// key that is queued meanwhile comes after it: the two were concurrent.
func (p *pendingWrite[K, V]) through(ctx context.Context) (done bool, err error) {
	queued := false
	err = p.unfilled(ctx, []string{p.key}, func(ctx context.Context) error {
		states, err := p.queue.Lookup(ctx, []string{p.key})
		if err != nil {
			return err
		}
		if queued = states[0] != (queue.State{}); queued {
			return nil
		}
		return p.now(ctx)
	})
	return !queued, err
}

// now writes to the source.
func (p *pendingWrite[K, V]) now(ctx context.Context) error {
	c := Change[K, V]{ID: p.record.id, Key: p.key, Value: p.record.value, Deleted: !p.record.has}
	if s, ok := p.queue.(queue.Sequencer); ok {
		sequence, err := s.NextSequence(ctx, p.key)
		if err != nil {
			return err
		}
		c.Sequence = sequence
	}
	p.counts.through.Add(1)
	err := p.dependently(ctx, []Change[K, V]{c}, func(ctx context.Context) []error {
		return []error{p.source.one(ctx, c)}
	})[0]
	if errors.Is(err, ErrDuplicate) {
		return nil
	}
	return err
}
