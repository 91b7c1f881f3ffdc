package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// listed is how many keys or claims one statement lists at most.
const listed = 100

// Lookup implements queue.Queue; it takes one round trip for each 100 keys.
func (q *Queue) Lookup(ctx context.Context, keys []string) ([]queue.State, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	found := make(map[string]queue.State, len(keys))
	for part := range slices.Chunk(keys, listed) {
		if err := q.look(ctx, part, found); err != nil {
			return nil, failure(ctx, "lookup", err)
		}
	}
	states := make([]queue.State, len(keys))
	for i, key := range keys {
		states[i] = cloned(found[key])
	}
	return states, nil
}

func (q *Queue) look(ctx context.Context, keys []string, found map[string]queue.State) error {
	args := make([]any, len(keys))
	for i, key := range keys {
		args[i] = []byte(key)
	}
	rows, err := q.db.QueryContext(ctx, q.statements.lookup+"("+q.placeholders(len(keys))+")", args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key []byte
		var state int
		var head, tail row
		if err := rows.Scan(append([]any{&key, &state}, columns(&head, &tail)...)...); err != nil {
			return err
		}
		st := queue.State{Open: tail.item(key), Dead: state == stateDead}
		switch {
		case st.Dead:
		case head.tried:
			st.Ahead = head.item(key)
		default:
			st.Open = head.item(key)
		}
		found[string(key)] = st
	}
	return rows.Err()
}

// cloned returns a state that shares no payloads: a key may be asked for twice.
func cloned(st queue.State) queue.State {
	for _, it := range [...]**queue.Item{&st.Ahead, &st.Open} {
		if *it != nil {
			own := **it
			own.Payload = slices.Clone(own.Payload)
			*it = &own
		}
	}
	return st
}

const stateDead = 2

func (q *Queue) placeholders(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(q.placeholder(i + 1))
	}
	return b.String()
}

func (q *Queue) placeholder(n int) string {
	if q.dialect == SQLite {
		return fmt.Sprint("?", n)
	}
	return fmt.Sprint("$", n)
}

// row is an item as the table has it.
type row struct {
	payload  []byte
	deleted  sql.NullBool
	tried    bool
	sequence sql.NullInt64
	first    sql.NullInt64
	writes   sql.NullInt64
	age      sql.NullInt64
}

// columns are the destinations of itemColumns.
func columns(head, tail *row) []any {
	return []any{&head.payload, &head.deleted, &head.tried, &head.sequence, &head.first, &head.writes, &head.age,
		&tail.payload, &tail.deleted, &tail.sequence, &tail.first, &tail.writes, &tail.age}
}

// item returns nil if there is none.
func (r *row) item(key []byte) *queue.Item {
	if !r.sequence.Valid {
		return nil
	}
	return &queue.Item{Key: string(key), Payload: r.payload, Deleted: r.deleted.Bool, Sequence: uint64(r.sequence.Int64),
		First: uint64(r.first.Int64), Writes: int(r.writes.Int64), Age: micros(r.age.Int64)}
}

func micros(n int64) time.Duration { return time.Duration(max(n, 0)) * time.Microsecond }

// Claim implements queue.Queue.
func (q *Queue) Claim(ctx context.Context, o queue.ClaimOptions) ([]queue.Claim, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if err := o.Check(); err != nil {
		return nil, err
	}
	rows, err := q.db.QueryContext(ctx, q.statements.claim, o.Max, o.Visibility.Microseconds())
	if err != nil {
		return nil, failure(ctx, "claim", err)
	}
	defer func() { _ = rows.Close() }()
	var claims []queue.Claim
	for rows.Next() {
		var key []byte
		var r row
		var attempt int
		var token, was int64
		if err := rows.Scan(&key, &r.payload, &r.deleted, &r.sequence, &r.first, &r.writes, &r.age, &attempt, &token, &was); err != nil {
			return nil, failure(ctx, "claim", err)
		}
		claims = append(claims, queue.Claim{Item: *r.item(key), Attempt: attempt, Token: uint64(token)})
		q.counts.redelivered.Add(uint64(was))
	}
	if err := rows.Err(); err != nil {
		return nil, failure(ctx, "claim", err)
	}
	q.counts.claimed.Add(uint64(len(claims)))
	slices.SortFunc(claims, func(a, b queue.Claim) int { return cmp.Compare(a.First, b.First) })
	return claims, nil
}

// Settle implements queue.Queue. All outcomes are settled in one transaction,
// those that are done with two statements for each 100.
func (q *Queue) Settle(ctx context.Context, outcomes []queue.Outcome) ([]queue.Settled, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if err := queue.CheckOutcomes(outcomes); err != nil || len(outcomes) == 0 {
		return nil, err
	}
	s := &settling{Queue: q, outcomes: outcomes, settled: make([]queue.Settled, len(outcomes))}
	if err := q.transact(ctx, s.run); err != nil {
		return nil, failure(ctx, "settle", err)
	}
	for i, st := range s.settled {
		q.count(outcomes[i].Result, st)
	}
	return s.settled, nil
}

// execer is a transaction.
type execer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (q *Queue) transact(ctx context.Context, do func(ctx context.Context, tx execer) error) error {
	if q.dialect == SQLite {
		return q.serially(ctx, func(ctx context.Context, conn *sql.Conn) error { return do(ctx, conn) })
	}
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(ctx, tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// ignoreDone leaves out that a transaction had ended, as it does with its
// context.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// settling is one call of Settle.
type settling struct {
	*Queue
	outcomes []queue.Outcome
	settled  []queue.Settled
}

func (s *settling) run(ctx context.Context, tx execer) error {
	done := make([]int, 0, len(s.outcomes))
	for i, o := range s.outcomes {
		if o.Result == queue.Done {
			done = append(done, i)
			continue
		}
		if err := s.fail(ctx, tx, i); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(done, listed) {
		for _, statement := range []string{s.statements.done, s.statements.promote} {
			if err := s.finish(ctx, tx, statement, part); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish runs statement for the claims at these places which it is for.
func (s *settling) finish(ctx context.Context, tx execer, statement string, at []int) error {
	var b strings.Builder
	args := make([]any, 0, 3*len(at))
	places := make(map[string]int, len(at))
	for i, place := range at {
		c := s.outcomes[place].Claim
		if i > 0 {
			b.WriteString(" OR ")
		}
		fmt.Fprintf(&b, "(key = %s AND head_sequence = %s AND token = %s)", s.placeholder(3*i+1), s.placeholder(3*i+2), s.placeholder(3*i+3))
		args = append(args, []byte(c.Key), int64(c.Sequence), int64(c.Token))
		places[c.Key] = place
	}
	rows, err := tx.QueryContext(ctx, statement+"("+b.String()+") RETURNING key", args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var key []byte
		if err := rows.Scan(&key); err != nil {
			return err
		}
		s.settled[places[string(key)]] = queue.SettledDone
	}
	return rows.Err()
}

// fail settles an outcome that is not Done.
func (s *settling) fail(ctx context.Context, tx execer, i int) error {
	o := s.outcomes[i]
	state := int64(0)
	if o.Result == queue.Dead {
		state = stateDead
	}
	var now int
	var sequence uint64
	err := tx.QueryRowContext(ctx, s.statements.fail, []byte(o.Claim.Key), int64(o.Claim.Sequence), int64(o.Claim.Token),
		flag(o.Result == queue.Deferred), state, queue.CutReason(o.Reason), o.After.Microseconds()).Scan(&now, &sequence)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		s.settled[i] = queue.SettledLost
	case err != nil:
		return err
	case sequence != o.Claim.Sequence:
		s.settled[i] = queue.SettledReplaced
	case now == stateDead:
		s.settled[i] = queue.SettledDead
	default:
		s.settled[i] = queue.SettledQueued
	}
	return nil
}

func (q *Queue) count(r queue.Result, s queue.Settled) {
	if s == queue.SettledLost {
		q.counts.lost.Add(1)
		return
	}
	if r == queue.Done {
		q.counts.done.Add(1)
		return
	}
	q.counts.failed.Add(1)
	switch s {
	case queue.SettledReplaced:
		q.counts.replaced.Add(1)
	case queue.SettledDead:
		q.counts.buried.Add(1)
	}
}
