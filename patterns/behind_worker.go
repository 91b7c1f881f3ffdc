package patterns

import (
	"context"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// visibilityShare is the part of a claim's time before whose beginning the
// source must have been written: for clocks that run at different speeds, and
// for the settling.
const visibilityShare = 6

// settleTimeout bounds how long the queue may take to be told of a batch.
const settleTimeout = 10 * time.Second

// errAttempts is the reason of a dead letter whose last attempt never came to an
// end.
var errAttempts = errors.New("larder: every attempt ended without an answer: the process died, or the source never returned")

// behindWorker is a goroutine that claims batches and writes them.
type behindWorker[K comparable, V any] struct {
	*WriteBehind[K, V]

	// confined to run
	down int // passes in a row in which the source, or the queue, was unavailable
}

// run writes what is queued until ctx ends. It looks at the queue after each
// interval, and when it is woken; while nothing works it takes longer and longer
// pauses, during which it is not woken.
func (w *behindWorker[K, V]) run(ctx context.Context) {
	timer := time.NewTimer(w.opts.Interval)
	defer timer.Stop()
	for {
		kick := w.kick
		if w.down > 0 {
			kick = nil
		}
		woken := false
		select {
		case <-ctx.Done():
			return
		case <-kick:
			woken = true
		case <-timer.C:
		}
		w.drain(ctx, woken)
		timer.Reset(w.pause())
	}
}

func (w *behindWorker[K, V]) pause() time.Duration {
	if w.down == 0 {
		return w.opts.Interval
	}
	return max(w.opts.Interval, w.opts.backoff(w.down))
}

// drain writes batches until there is no full one or nothing works. What is not
// enough for a batch waits for more: a key that is written all the time would keep
// it from ending.
func (w *behindWorker[K, V]) drain(ctx context.Context, woken bool) {
	for ctx.Err() == nil {
		began := time.Now()
		claims, err := w.queue.Claim(ctx, queue.ClaimOptions{Max: w.opts.BatchSize, Visibility: w.opts.Visibility})
		if err != nil {
			w.failed(ctx, err)
			w.down++
			return
		}
		if woken {
			w.woken(len(claims))
			woken = false
		}
		b := &behindBatch[K, V]{behindWorker: w, claims: claims, until: began.Add(w.opts.Visibility - w.opts.Visibility/visibilityShare)}
		if len(claims) > 0 && !b.write(ctx) {
			w.down++
			return
		}
		w.down = 0
		if len(claims) < w.opts.BatchSize {
			return
		}
	}
}

// failed reports an error of the queue or the source.
func (w *WriteBehind[K, V]) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // being closed
	}
	w.counts.errors.Add(1)
	w.observe(ctx, cache.Event{Kind: cache.EventQueueError, Err: err})
	if w.opts.OnError != nil {
		w.shielded(func() { w.opts.OnError(ctx, err) })
	}
}

func (w *WriteBehind[K, V]) observe(ctx context.Context, e cache.Event) {
	if w.opts.Observer != nil {
		e.Layer = "behind"
		w.shielded(func() { w.opts.Observer.Observe(ctx, e) })
	}
}

// shielded runs the user's code, whose panic goes no further.
func (w *WriteBehind[K, V]) shielded(call func()) {
	defer func() {
		if recover() != nil {
			w.counts.panics.Add(1)
		}
	}()
	call()
}

// behindBatch is one batch on its way from the queue to the source.
type behindBatch[K comparable, V any] struct {
	*behindWorker[K, V]
	claims []queue.Claim
	until  time.Time // when the source must have been written

	changes  []Change[K, V]
	of       []int // the claim of each change
	outcomes []queue.Outcome
	dead     []queue.Outcome
}

// write writes the batch and settles it. It reports whether there is any use in
// going on at once.
func (b *behindBatch[K, V]) write(ctx context.Context) (more bool) {
	b.decode()
	if len(b.changes) > 0 {
		b.counts.batches.Add(1)
		within, cancel := context.WithDeadline(ctx, b.until)
		errs := b.dependently(within, b.changes, func(ctx context.Context) []error {
			return b.source.apply(ctx, b.changes)
		})
		cancel()
		b.judge(ctx, errs)
	}
	return b.settle(ctx)
}

// decode makes changes of the claims. What cannot be one is dead.
func (b *behindBatch[K, V]) decode() {
	for i, c := range b.claims {
		r, err := b.records.decode(c.Payload)
		if err == nil && c.Attempt > b.opts.MaxAttempts {
			err = errAttempts
		}
		if err != nil {
			b.bury(c, err)
			continue
		}
		b.of = append(b.of, i)
		b.changes = append(b.changes, Change[K, V]{ID: r.id, Key: c.Key, Value: r.value,
			Deleted: !r.has, Fresh: r.fresh, Sequence: c.Sequence, Attempt: c.Attempt})
	}
}

func (b *behindBatch[K, V]) bury(c queue.Claim, err error) {
	b.dead = append(b.dead, queue.Outcome{Claim: c, Result: queue.Dead, Reason: err.Error()})
}

// judge decides what becomes of each change.
func (b *behindBatch[K, V]) judge(ctx context.Context, errs []error) {
	for i, err := range errs {
		c := b.claims[b.of[i]]
		o := queue.Outcome{Claim: c, Result: queue.Done}
		switch {
		case err == nil:
			b.counts.written.Add(1)
		case errors.Is(err, ErrDuplicate):
			b.counts.duplicates.Add(1)
		case errors.Is(err, errUntried) || ctx.Err() != nil:
			o.Result = queue.Deferred // for lack of time, or because of Close
		default:
			b.failed(ctx, err)
			o.Result, o.After = b.verdict(c, err)
		}
		if o.Result == queue.Dead {
			b.bury(c, err)
			continue
		}
		b.outcomes = append(b.outcomes, o)
	}
}

func (b *behindBatch[K, V]) verdict(c queue.Claim, err error) (queue.Result, time.Duration) {
	verdict := Retry
	b.shielded(func() { verdict = b.opts.Classify(err) })
	switch {
	case verdict == Unavailable:
		return queue.Deferred, b.opts.backoff(b.down + 1)
	case verdict == Permanent || c.Attempt >= b.opts.MaxAttempts:
		return queue.Dead, 0
	}
	return queue.Failed, b.opts.backoff(c.Attempt)
}

// settle tells the queue. A batch whose settling fails is claimed again when its
// visibility has passed.
func (b *behindBatch[K, V]) settle(ctx context.Context) (more bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for _, o := range b.outcomes {
		more = more || o.Result != queue.Deferred
	}
	more = more || len(b.dead) > 0
	b.repairIncrements(ctx)
	if len(b.outcomes) > 0 {
		if _, err := b.queue.Settle(ctx, b.outcomes); err != nil {
			b.failed(ctx, err)
			more = false
		}
	}
	if len(b.dead) > 0 {
		b.settleDead(ctx)
	}
	b.settled.tell()
	return more
}

// settleDead makes dead letters, under write marks: from then on readers are to
// find what the source has, and no longer what it refused.
func (b *behindBatch[K, V]) settleDead(ctx context.Context) {
	keys := make([]string, len(b.dead))
	for i, o := range b.dead {
		keys[i] = o.Claim.Key
	}
	var settled []queue.Settled
	tried := false
	bury := func(ctx context.Context) (err error) {
		tried = true
		settled, err = b.queue.Settle(ctx, b.dead)
		return err
	}
	err := b.unfilled(ctx, keys, bury)
	if err != nil && !tried { // the cache refuses: the queue must know all the same
		err = errors.Join(err, bury(ctx))
	}
	if err != nil {
		b.failed(ctx, err)
	}
	for i, s := range settled {
		if s == queue.SettledDead {
			b.told(ctx, b.dead[i])
		}
	}
}

// told calls OnDead.
func (b *behindBatch[K, V]) told(ctx context.Context, o queue.Outcome) {
	b.observe(ctx, cache.Event{Kind: cache.EventDeadLetter})
	if b.opts.OnDead == nil {
		return
	}
	letter := b.letter(queue.DeadLetter{Item: o.Claim.Item, Attempts: o.Claim.Attempt, Reason: queue.CutReason(o.Reason)})
	b.shielded(func() { b.opts.OnDead(ctx, letter) })
}

// repairIncrements removes cached sums of increments that are now the source's:
// one of which a part was computed before they were claimed may be off. Later ones
// are not cached until the queue is told, so it is done before that: if the process
// dies in between, whoever claims them next does it again.
func (b *behindBatch[K, V]) repairIncrements(ctx context.Context) {
	if b.opts.Merge == nil || b.cache == nil {
		return
	}
	for _, o := range b.outcomes {
		if o.Result != queue.Done {
			continue
		}
		if err := b.loading.Typed().Remove(ctx, o.Claim.Key); err != nil && !errors.Is(err, cache.ErrClosed) {
			b.failed(ctx, err)
		}
	}
}
