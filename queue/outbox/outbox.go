// Package outbox is a write-behind queue in the SQL database that has the data:
// what it acknowledged survives whatever the data survives, Redis or not, and
// workers of any process drain it. It speaks to PostgreSQL (12 or later) and
// SQLite (3.35 or later) through database/sql and brings no driver along.
//
// Its table has one row for each key with unflushed writes, so it is as long as
// the backlog, and an update of a key that waits updates its row. It has no limit
// of its own.
package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Dialect is the SQL that a database speaks.
type Dialect uint8

const (
	// PostgreSQL claims with FOR UPDATE SKIP LOCKED, and locks a key for the time
	// of an Enqueue by an advisory lock.
	PostgreSQL Dialect = iota + 1
	// SQLite takes BEGIN IMMEDIATE for an Enqueue. Set a busy timeout on its
	// connections, or writers that meet get SQLITE_BUSY.
	SQLite
)

// DefaultTable is the table of a queue whose options name none.
const DefaultTable = "larder_outbox"

// Options configure a Queue. The zero value, and nil, mean the defaults.
type Options struct {
	// Table is the name of the queue's table: letters, digits and underscores,
	// and one dot for a PostgreSQL schema. Give each kind of entity a table of its
	// own. What else the queue creates has the name as a prefix. Empty:
	// DefaultTable.
	Table string
}

// Queue is a queue in a table. It is safe for concurrent use, starts no
// goroutine, and needs no Close: the database stays the caller's. Time is the
// database's. Enqueue on PostgreSQL is one round trip, as are Lookup and Claim.
type Queue struct {
	db         *sql.DB
	dialect    Dialect
	table      string
	statements statements
	counts     counts
}

var (
	_ queue.Queue       = (*Queue)(nil)
	_ queue.DeadLetters = (*Queue)(nil)
	_ queue.Flusher     = (*Queue)(nil)
	_ queue.Sequencer   = (*Queue)(nil)
	_ queue.Preflighter = (*Queue)(nil)
)

type counts struct {
	enqueued, coalesced, claimed, redelivered, done, failed, replaced, lost, buried atomic.Uint64
}

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,40}(\.[A-Za-z_][A-Za-z0-9_]{0,40})?$`)

// New returns the queue in a table of db, which must be there: see
// Queue.CreateTable. Bad options are cache.ErrInvalidConfig.
func New(db *sql.DB, dialect Dialect, opts *Options) (*Queue, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.Table == "" {
		o.Table = DefaultTable
	}
	var errs []error
	if db == nil {
		errs = append(errs, refused("db", nil, "must not be nil"))
	}
	if dialect != PostgreSQL && dialect != SQLite {
		errs = append(errs, refused("dialect", uint8(dialect), "is unknown"))
	}
	if !tableName.MatchString(o.Table) {
		errs = append(errs, refused("Options.Table", o.Table, "is no plain name"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Queue{db: db, dialect: dialect, table: o.Table, statements: newStatements(dialect, o.Table)}, nil
}

func refused(option string, value any, reason string) error {
	return &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}

// CreateTable creates what the queue needs, where it is not there yet. Several
// processes may do so at once. Those who migrate their schemas by other means take
// it from Schema.
func (q *Queue) CreateTable(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	statements := Schema(q.dialect, q.table)
	err := q.create(ctx, statements)
	for range statements {
		if err == nil || ctx.Err() != nil || q.dialect == SQLite {
			break
		}
		err = q.create(ctx, statements)
	}
	return failure(ctx, "create table", err)
}

// create executes the statements. On PostgreSQL IF NOT EXISTS fails where another is
// creating the same and commits it, which a repetition then finds. Those who come this
// way wait for each other there: so none sets the sequence back that another has drawn
// from already.
func (q *Queue) create(ctx context.Context, statements []string) error {
	if q.dialect == SQLite {
		return execute(ctx, q.db, statements)
	}
	tx, err := q.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", q.lockOf("")); err != nil {
		return err
	}
	if err := execute(ctx, tx, statements); err != nil {
		return err
	}
	return tx.Commit()
}

func execute(ctx context.Context, db interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}, statements []string) error {
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Preflight implements queue.Preflighter: the table is there, and a commit
// survives the database's crash.
func (q *Queue) Preflight(ctx context.Context) error {
	if _, err := q.Stats(ctx); err != nil {
		return err
	}
	for _, p := range q.statements.preflight {
		var got string
		if err := q.db.QueryRowContext(ctx, p.query).Scan(&got); err != nil {
			return failure(ctx, "preflight", err)
		}
		for _, bad := range p.bad {
			if got == bad {
				return fmt.Errorf("%w: the database's %s is %s", queue.ErrVolatile, p.setting, got)
			}
		}
	}
	return nil
}

// failure tells what went wrong. A statement that was sent and whose answer was
// lost may have been executed.
func failure(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	var network net.Error
	lost := ctx.Err() != nil || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if ended := ctx.Err(); ended != nil {
		err = ended
	}
	if lost && changes[op] {
		return fmt.Errorf("larder: outbox: %s: %w: %w", op, cache.ErrOutcomeUnknown, err)
	}
	return fmt.Errorf("larder: outbox: %s: %w", op, err)
}

// changes are the operations whose outcome may be unknown.
var changes = map[string]bool{"enqueue": true, "settle": true, "revive": true, "drop": true}

// Stats implements queue.Queue. It reads the whole table.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return queue.Stats{}, err
	}
	var st queue.Stats
	var oldest int64
	err := q.db.QueryRowContext(ctx, q.statements.stats).Scan(&st.Queued, &st.InFlight, &st.Dead, &st.Bytes, &oldest)
	st.Oldest = time.Duration(max(oldest, 0)) * time.Microsecond
	c := &q.counts
	st.Enqueued, st.Coalesced, st.Claimed, st.Redelivered = c.enqueued.Load(), c.coalesced.Load(), c.claimed.Load(), c.redelivered.Load()
	st.Done, st.Failed, st.Replaced, st.Lost, st.Buried = c.done.Load(), c.failed.Load(), c.replaced.Load(), c.lost.Load(), c.buried.Load()
	return st, failure(ctx, "stats", err)
}

// NextSequence implements queue.Sequencer.
func (q *Queue) NextSequence(ctx context.Context, _ string) (sequence uint64, err error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	err = q.db.QueryRowContext(ctx, q.statements.next).Scan(&sequence)
	return sequence, failure(ctx, "next sequence", err)
}

// Barrier implements queue.Flusher.
func (q *Queue) Barrier(ctx context.Context) (queue.Barrier, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	var last uint64
	err := q.db.QueryRowContext(ctx, q.statements.last).Scan(&last)
	return queue.Barrier{last}, failure(ctx, "barrier", err)
}

// Before implements queue.Flusher. It reads the whole table.
func (q *Queue) Before(ctx context.Context, b queue.Barrier) (n int, err error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if len(b) != 1 {
		return 0, refused("Barrier", len(b), "is another queue's")
	}
	err = q.db.QueryRowContext(ctx, q.statements.before, int64(b[0])).Scan(&n)
	return n, failure(ctx, "before", err)
}
