package outbox

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Enqueue implements queue.Queue. The write is committed when it returns.
func (q *Queue) Enqueue(ctx context.Context, w queue.Write) (uint64, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if err := w.Check(); err != nil {
		return 0, err
	}
	statement := q.statements.enqueue[w.Mode]
	if w.Onto != 0 {
		statement = q.statements.onto
	}
	payload := w.Payload
	if payload == nil {
		payload = []byte{}
	}
	args := []any{[]byte(w.Key), payload, flag(w.Deleted), flag(w.Mode == queue.Replace)}
	put := q.put
	if q.dialect == SQLite {
		put = q.putSerially
	}
	sequence, err := put(ctx, statement, args, w)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, queue.ErrConflict
	case err != nil:
		return 0, failure(ctx, "enqueue", err)
	}
	q.counts.enqueued.Add(1)
	return sequence, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// put runs the statement in a transaction of its own, under the key's lock.
func (q *Queue) put(ctx context.Context, statement string, args []any, w queue.Write) (uint64, error) {
	args = append(args, q.lockOf(w.Key))
	if w.Onto != 0 {
		args = append(args, int64(w.Onto))
	}
	return q.written(q.db.QueryRowContext(ctx, statement, args...))
}

// lockOf names a key's advisory lock. Keys that share one wait for each other.
func (q *Queue) lockOf(key string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(q.table + "\x00" + key))
	return int64(h.Sum64())
}

// written reads what an Enqueue left: the item with the higher sequence is the
// new one.
func (q *Queue) written(row *sql.Row) (uint64, error) {
	var head, headWrites int64
	var tail, tailWrites sql.NullInt64
	if err := row.Scan(&head, &headWrites, &tail, &tailWrites); err != nil {
		return 0, err
	}
	if tail.Valid {
		head, headWrites = tail.Int64, tailWrites.Int64
	}
	if headWrites > 1 {
		q.counts.coalesced.Add(1)
	}
	return uint64(head), nil
}

// putSerially is put where there is one writer at a time.
func (q *Queue) putSerially(ctx context.Context, statement string, args []any, w queue.Write) (sequence uint64, err error) {
	err = q.serially(ctx, func(ctx context.Context, conn *sql.Conn) error {
		var next int64
		if err := conn.QueryRowContext(ctx, q.statements.next).Scan(&next); err != nil {
			return err
		}
		args = append(args, next)
		if w.Onto != 0 {
			args = append(args, int64(w.Onto))
		}
		sequence, err = q.written(conn.QueryRowContext(ctx, statement, args...))
		return err
	})
	return sequence, err
}

// serially runs do in a transaction that is a writer from its beginning: one that
// becomes one later may find that another was quicker, and fail.
func (q *Queue) serially(ctx context.Context, do func(ctx context.Context, conn *sql.Conn) error) (err error) {
	conn, err := q.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	committed := false
	defer func() { // also if it failed to begin: ctx may have ended once it had
		if !committed {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := do(ctx, conn); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "COMMIT")
	committed = err == nil
	return err
}
