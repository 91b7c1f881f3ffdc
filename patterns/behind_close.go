package patterns

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Flush writes at once, and waits until everything that was acknowledged before
// the call has left the queue for the source or the dead letters, in this process
// or another. What waits for its next attempt is waited for; what is parked
// behind a dead letter is not.
func (w *WriteBehind[K, V]) Flush(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	barrier, err := w.flusher.Barrier(ctx)
	if err != nil {
		return err
	}
	for pause := firstLook; ; pause = min(2*pause, lastLook) {
		left, err := w.flusher.Before(ctx, barrier)
		if err != nil || left == 0 {
			return err
		}
		w.wake()
		if err := waitFor(ctx, pause, w.ended); err != nil {
			return err
		}
	}
}

// How long Flush waits before it looks at the queue again: longer and longer,
// for a look may read all that is queued.
const (
	firstLook = time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// waitFor waits for d, or returns the reason to wait no longer.
func waitFor(ctx context.Context, d time.Duration, over <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-over:
		return cache.ErrClosed
	}
}

// Close refuses further writes, writes what is queued, and ends the workers
// (without workers, see NoWorkers, it only does the first). When
// ctx ends first it gives up: a write that the source has not answered is given
// back to the queue, and the error is a *RemainingError that says what is left,
// which with a durable queue others go on with. It is idempotent. Find goes on
// working.
//
// A source that does not heed its context keeps its worker after Close returned.
func (w *WriteBehind[K, V]) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	w.shut()
	why := w.emptied(ctx)
	w.stop()
	grace := ctx
	if ctx.Err() != nil { // for what is settled when the source heeds its context
		var cancel context.CancelFunc
		grace, cancel = context.WithTimeout(context.WithoutCancel(ctx), behindTick)
		defer cancel()
	}
	select {
	case <-w.ended:
	case <-grace.Done():
		why = errors.Join(why, grace.Err())
	}
	return w.remaining(why)
}

// emptied waits until the writes that were let in are in the queue, and then
// until they have left it.
func (w *WriteBehind[K, V]) emptied(ctx context.Context) error {
	select {
	case <-w.idle:
		if w.opts.NoWorkers {
			return nil
		}
		return w.Flush(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// remaining tells what is left in the queue.
func (w *WriteBehind[K, V]) remaining(why error) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	st, err := w.queue.Stats(ctx)
	if err != nil {
		return errors.Join(why, err)
	}
	_, volatile := w.queue.(queue.Volatile)
	if st.Queued == 0 && (st.Dead == 0 || !volatile) {
		return nil
	}
	if why == nil && st.Queued > 0 && !volatile {
		return nil // what others enqueued since, or what is parked: it stays in the queue
	}
	return &RemainingError{Queued: st.Queued, Dead: st.Dead, Err: why}
}

// WriteBehindStats is what a WriteBehind did and what its queue holds.
type WriteBehindStats struct {
	Queue queue.Stats

	Batches    uint64 // handed to the source by this process
	Written    uint64 // changes that the source took from the queue
	Duplicates uint64 // changes that the source had already: ErrDuplicate
	Through    uint64 // writes past the full queue
	Errors     uint64 // of the source and of the queue
	Panics     uint64 // of callbacks
	Blocked    int64  // writes that wait for room now
}

// Stats returns what was done so far. It asks the queue.
func (w *WriteBehind[K, V]) Stats(ctx context.Context) (WriteBehindStats, error) {
	st, err := w.queue.Stats(ctx)
	return WriteBehindStats{
		Queue: st, Batches: w.counts.batches.Load(), Written: w.counts.written.Load(), Duplicates: w.counts.duplicates.Load(),
		Through: w.counts.through.Load(), Errors: w.counts.errors.Load(), Panics: w.counts.panics.Load(), Blocked: w.counts.blocked.Load(),
	}, err
}

type behindCounts struct {
	batches, written, duplicates, through, errors, panics atomic.Uint64
	blocked                                               atomic.Int64
}

// notice tells all who wait that something happened.
type notice struct {
	mu sync.Mutex
	ch chan struct{} // closed when it happens; nil: nobody waits
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}

// wait waits until it happens, or may have happened in another process. The
// error is ctx's, or cache.ErrClosed if over is closed.
func (n *notice) wait(ctx context.Context, over <-chan struct{}) error {
	timer := time.NewTimer(behindTick)
	defer timer.Stop()
	select {
	case <-n.next():
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-over:
		return cache.ErrClosed
	}
	return nil
}

// next returns what is closed when it happens.
func (n *notice) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}
