package memory

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/larder-go/larder/cache"
)

// notices is the queue of entries that left and have yet to be reported. An
// entry is added under the lock of its key, once, and reported by a call that
// holds no lock, once.
//
// The goroutine that ended an entry's life usually reports it, so a slow
// callback slows down those who cause it, and no goroutine has to be ended. A
// callback that stores again makes more notices in the call that reports the
// first: beyond maxReporters calls at once, the ones at work report them, so
// the stack stays bounded.
type notices struct {
	// Immutable.
	observer cache.Observer
	onEvict  func(Eviction)

	pending   atomic.Int64 // len(queue), readable without the lock
	reporters atomic.Int32

	mu    sync.Mutex
	queue []notice
}

type notice struct {
	entry *entry
	cause Cause
}

const maxReporters = 16

func (n *notices) add(e *entry, cause Cause) {
	n.mu.Lock()
	n.queue = append(n.queue, notice{e, cause})
	n.pending.Store(int64(len(n.queue)))
	n.mu.Unlock()
}

// deliver reports what is in the queue. No lock may be held.
func (n *notices) deliver() {
	for n.pending.Load() > 0 {
		if n.reporters.Add(1) > maxReporters {
			n.reporters.Add(-1)
			return
		}
		n.report()
		n.reporters.Add(-1)
	}
}

func (n *notices) report() {
	n.mu.Lock()
	batch := n.queue
	n.queue = nil
	n.pending.Store(0)
	n.mu.Unlock()
	for _, notice := range batch {
		n.observeLeaving(notice.cause)
		n.call(notice)
	}
}

func (n *notices) observeLeaving(cause Cause) {
	if n.observer == nil {
		return
	}
	switch cause {
	case CauseExpired:
		n.observer.Observe(context.Background(), cache.Event{Kind: cache.EventExpiration, Layer: layer})
	case CauseCapacity:
		n.observer.Observe(context.Background(), cache.Event{Kind: cache.EventEviction, Layer: layer, Detail: cause.String()})
	}
}

func (n *notices) call(left notice) {
	if n.onEvict == nil {
		return
	}
	defer reportPanic(n.observer, "evict")
	n.onEvict(Eviction{Key: left.entry.key, Value: left.entry.value(), Cause: left.cause})
}

// reportPanic keeps a panic of the caller's code from going further. It is for
// defer.
func reportPanic(observer cache.Observer, op string) {
	v := recover()
	if v == nil || observer == nil {
		return
	}
	err, ok := v.(error)
	if !ok {
		err = fmt.Errorf("larder: callback panicked with a %T", v)
	}
	observer.Observe(context.Background(), cache.Event{Kind: cache.EventCallbackPanic, Layer: layer, Op: op, Err: err})
}

// value returns what e holds, for somebody outside.
func (e *entry) value() any {
	switch e.kind {
	case kindObject:
		return e.object
	case kindCounter:
		return e.number.Load()
	}
	return bytes.Clone(e.bytes)
}
