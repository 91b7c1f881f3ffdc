package memory

import (
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
// callback that stores again makes more notices within the call that reports
// the first: beyond maxReporters at once, the ones at work report them, so the
// stack stays bounded. The queue stays bounded too, since when it is long every
// call reports.
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
	node  *node
	cause Cause
}

const (
	maxReporters = 16
	longQueue    = 1024
)

func (n *notices) add(left *node, cause Cause) {
	n.mu.Lock()
	n.queue = append(n.queue, notice{left, cause})
	n.pending.Store(int64(len(n.queue)))
	n.mu.Unlock()
}

func (n *notices) take() (notice, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		return notice{}, false
	}
	first := n.queue[0]
	n.queue[0] = notice{}
	if n.queue = n.queue[1:]; len(n.queue) == 0 {
		n.queue = nil
	}
	n.pending.Store(int64(len(n.queue)))
	return first, true
}

// deliver reports what is in the queue. No lock may be held.
func (n *notices) deliver() {
	for n.pending.Load() > 0 {
		if !n.report() {
			return
		}
	}
}

// report reports what is in the queue, and false if enough calls do that. What
// is added after its last look is not lost: deliver looks again.
func (n *notices) report() bool {
	defer n.reporters.Add(-1)
	enough := n.reporters.Add(1) > maxReporters
	for !enough || n.pending.Load() > longQueue {
		left, ok := n.take()
		if !ok {
			return true
		}
		n.observe(left.cause)
		n.call(left)
	}
	return false
}

func (n *notices) observe(cause Cause) {
	if n.observer == nil {
		return
	}
	e := cache.Event{Layer: layer, Detail: cause.String()}
	switch cause {
	case CauseExpired:
		e.Kind = cache.EventExpiration
	case CauseCapacity:
		e.Kind = cache.EventEviction
	default:
		return
	}
	n.observer.Observe(context.Background(), e)
}

func (n *notices) call(left notice) {
	if n.onEvict == nil {
		return
	}
	defer reportPanic(n.observer, "evict")
	n.onEvict(Eviction{Key: left.node.Key(), Value: left.node.Value.value(), Cause: left.cause})
}

// reportPanic keeps a panic of the caller's code from going further. It is for
// defer. The event names the kind of panic only: its value may hold personal
// data.
func reportPanic(observer cache.Observer, op string) {
	v := recover()
	if v == nil || observer == nil {
		return
	}
	observer.Observe(context.Background(), cache.Event{Kind: cache.EventCallbackPanic, Layer: layer, Op: op,
		Err: fmt.Errorf("memory: callback panicked with a %T", v)})
}
