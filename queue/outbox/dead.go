package outbox

import (
	"context"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Dead implements queue.DeadLetters.
func (q *Queue) Dead(ctx context.Context, after string, limit int) ([]queue.DeadLetter, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, refused("limit", limit, "must be positive")
	}
	rows, err := q.db.QueryContext(ctx, q.statements.dead, []byte(after), limit)
	if err != nil {
		return nil, failure(ctx, "dead letters", err)
	}
	defer func() { _ = rows.Close() }()
	var letters []queue.DeadLetter
	for rows.Next() {
		var key []byte
		var l queue.DeadLetter
		var since int64
		var head, tail row
		if err := rows.Scan(append([]any{&key, &l.Attempts, &l.Reason, &since}, columns(&head, &tail)...)...); err != nil {
			return nil, failure(ctx, "dead letters", err)
		}
		l.Item, l.Since = *head.item(key), micros(since)
		letters = append(letters, l)
	}
	return letters, failure(ctx, "dead letters", rows.Err())
}

// Revive implements queue.DeadLetters.
func (q *Queue) Revive(ctx context.Context, key string, sequence uint64) error {
	return q.withDead(ctx, "revive", key, sequence, q.statements.revive)
}

// Drop implements queue.DeadLetters.
func (q *Queue) Drop(ctx context.Context, key string, sequence uint64) error {
	return q.withDead(ctx, "drop", key, sequence, q.statements.drop, q.statements.dropPromoted)
}

// withDead runs the statement that is for the dead letter: at most one is.
func (q *Queue) withDead(ctx context.Context, op, key string, sequence uint64, statements ...string) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	for _, statement := range statements {
		result, err := q.db.ExecContext(ctx, statement, []byte(key), int64(sequence))
		if err != nil {
			return failure(ctx, op, err)
		}
		n, err := result.RowsAffected()
		if err != nil || n > 0 {
			return failure(ctx, op, err)
		}
	}
	return queue.ErrNoDeadLetter
}
