package queue

import (
	"context"
	"fmt"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// What enqueue.lua returns instead of a sequence.
const (
	saidConflict = -1
	saidFull     = -2
)

// Enqueue implements queue.Queue. It is one round trip that concurrent calls share.
// Payloads over MaxPayload, and what is more than a partition's share of MaxBytes, are
// queue.ErrTooLarge.
func (q *Queue) Enqueue(ctx context.Context, w queue.Write) (uint64, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if err := w.Check(); err != nil {
		return 0, err
	}
	size := len(w.Key) + len(w.Payload)
	if len(w.Payload) > MaxPayload || q.maxBytes > 0 && int64(size) > q.maxBytes {
		return 0, queue.ErrTooLarge
	}
	p := &q.partitions[q.partitionOf(w.Key)]
	// The payload is copied: the command may outlive this call.
	cmd := enqueueScript.CmdOf(ctx, p.all, w.Key, string(w.Payload), flag(w.Deleted), int(w.Mode), w.Onto, q.maxItems, q.maxBytes)
	if err := q.transport.Do(ctx, p.items, cmd, transport.Write); err != nil {
		return 0, failure("enqueue", w.Key, err)
	}
	r, ok := list(cmd, 3)
	if !ok {
		return 0, &cache.OpError{Op: "enqueue", Key: w.Key, Err: fmt.Errorf("%w: strange reply", cache.ErrOutcomeUnknown)}
	}
	q.damaged.Add(uint64(r.number(2)))
	switch n := r.number(0); {
	case n == saidConflict:
		return 0, queue.ErrConflict
	case n == saidFull:
		q.counts.rejected.Add(1)
		return 0, queue.ErrFull
	default:
		q.counts.enqueued.Add(1)
		q.counts.coalesced.Add(uint64(r.number(1)))
		return uint64(n), nil
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// NextSequence implements queue.Sequencer. It is one round trip.
func (q *Queue) NextSequence(ctx context.Context, key string) (uint64, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	p := &q.partitions[q.partitionOf(key)]
	cmd := nextScript.CmdOf(ctx, p.all)
	if err := q.transport.Do(ctx, p.items, cmd, transport.Write); err != nil {
		return 0, failure("next sequence", key, err)
	}
	r, ok := list(cmd, 2)
	if !ok {
		return 0, strange("next sequence")
	}
	q.damaged.Add(uint64(r.number(1)))
	return uint64(r.number(0)), nil
}
