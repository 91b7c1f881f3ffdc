package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/queue"
)

// What the scripts return instead of a sequence.
const (
	saidLeft     = 0
	saidConflict = -1
	saidFull     = -2
)

// Enqueue implements queue.Queue. Concurrent calls share round trips,
// and scripts: a write waits for the one of its partition that is under way, so
// it takes two budgets at most; one of a key that is being written, a script more.
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
	n := q.partitionOf(w.Key)
	sequence, left, err := q.joints[n].enqueue(ctx, w)
	if left {
		sequence, err = q.alone(ctx, &q.partitions[n], w)
	}
	if errors.Is(err, queue.ErrFull) {
		q.counts.rejected.Add(1)
	}
	return sequence, err
}

// alone enqueues whatever there is of the key, by a script of its own.
func (q *Queue) alone(ctx context.Context, p *partition, w queue.Write) (uint64, error) {
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
	return q.accepted(r.number(0), r.number(1))
}

// accepted counts what a script said of a write.
func (q *Queue) accepted(n, coalesced int64) (uint64, error) {
	switch n {
	case saidConflict:
		return 0, queue.ErrConflict
	case saidFull:
		return 0, queue.ErrFull
	}
	q.counts.enqueued.Add(1)
	q.counts.coalesced.Add(uint64(coalesced))
	return uint64(n), nil
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
