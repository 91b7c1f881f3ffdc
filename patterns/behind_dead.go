package patterns

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// DeadLetter is a write that the source refused for good.
type DeadLetter[K comparable, V any] struct {
	Key      string // names it, with Sequence
	Sequence uint64
	ID       K
	Value    V // the zero V if it was a deletion
	Deleted  bool
	Attempts int
	Reason   string        // the text of the source's last error; it may hold what the source said about the data
	Dead     time.Duration // how long it has been dead
	Age      time.Duration // since the write was acknowledged

	// Err, if not nil, says that the payload cannot be decoded: then ID and Value
	// are zero, and Payload is what the queue holds.
	Err     error
	Payload []byte
}

// DeadLetters returns up to limit dead letters of keys after the given one (""
// is before all), in the order of their keys.
func (w *WriteBehind[K, V]) DeadLetters(ctx context.Context, after string, limit int) ([]DeadLetter[K, V], error) {
	list, err := w.letters.Dead(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	letters := make([]DeadLetter[K, V], len(list))
	for i, l := range list {
		letters[i] = w.letter(l)
	}
	return letters, nil
}

func (w *WriteBehind[K, V]) letter(l queue.DeadLetter) DeadLetter[K, V] {
	r, err := w.records.decode(l.Payload)
	letter := DeadLetter[K, V]{Key: l.Key, Sequence: l.Sequence, Deleted: l.Deleted, Attempts: l.Attempts,
		Reason: l.Reason, Dead: l.Since, Age: l.Age, Err: err}
	if err != nil {
		letter.Payload = l.Payload
		return letter
	}
	letter.ID, letter.Value = r.id, r.value
	return letter
}

// RetryDeadLetter queues a dead letter again, as the write it was, ahead of what
// is parked behind it; readers see it again. One that is not there, because it
// was retried, dropped or replaced by a newer write, is queue.ErrNoDeadLetter.
func (w *WriteBehind[K, V]) RetryDeadLetter(ctx context.Context, key string, sequence uint64) error {
	return w.change(ctx, key, func(ctx context.Context) error { return w.letters.Revive(ctx, key, sequence) })
}

// DropDeadLetter deletes a dead letter for good, with errors as
// RetryDeadLetter. What is parked behind it is written.
func (w *WriteBehind[K, V]) DropDeadLetter(ctx context.Context, key string, sequence uint64) error {
	return w.change(ctx, key, func(ctx context.Context) error { return w.letters.Drop(ctx, key, sequence) })
}

func (w *WriteBehind[K, V]) change(ctx context.Context, key string, do func(ctx context.Context) error) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	err := w.unfilled(ctx, []string{key}, do)
	w.settled.tell()
	w.wake()
	return err
}
