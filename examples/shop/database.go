package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"modernc.org/sqlite"               // and the driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue/outbox"
)

// database is the source. It is slower than it need be, can be stopped, and can
// be made to refuse what is written of one product.
type database struct {
	db      *sql.DB
	dialect outbox.Dialect

	delay   atomic.Int64 // what each call takes longer, as a time.Duration
	stopped atomic.Bool
	refused atomic.Int64 // id of the product whose views are refused; 0: of none
	calls   atomic.Int64
}

// failure is an error of the source. What it wraps tells a write-behind what to
// make of it: see patterns.ClassifyError.
type failure struct {
	text string
	kind error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.kind }

var (
	// errStopped is no fault of the write: it is tried again for as long as it
	// takes.
	errStopped = &failure{"the database is stopped", driver.ErrBadConn}
	// errRefused will be the same next time: the write becomes a dead letter.
	errRefused = &failure{"the database refuses views of this product", patterns.ErrPermanent}
)

func openSQLite(file string) (*database, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
	return &database{db: db, dialect: outbox.SQLite}, err
}

func openPostgres(dsn string) (*database, error) {
	db, err := sql.Open("pgx", dsn)
	return &database{db: db, dialect: outbox.PostgreSQL}, err
}

// create makes the tables, and fills them if they are new.
func (d *database) create(ctx context.Context, s *sources) error {
	if err := d.connect(ctx); err != nil {
		return err
	}
	return d.Transact(ctx, func(ctx context.Context) error {
		if err := d.define(ctx,
			"CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, category TEXT NOT NULL, cents INTEGER NOT NULL)",
			"CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, email TEXT NOT NULL)",
			"CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, units INTEGER NOT NULL)",
			"CREATE TABLE IF NOT EXISTS views (id INTEGER PRIMARY KEY, count BIGINT NOT NULL, sequence BIGINT NOT NULL DEFAULT 0)",
		); err != nil {
			return err
		}
		if ids, err := s.products.ids(ctx, "1 = 1 ORDER BY id LIMIT 1"); err != nil || len(ids) > 0 {
			return err
		}
		return errors.Join(
			s.products.SaveMany(ctx, filled(productCount, newProduct)),
			s.customers.SaveMany(ctx, filled(customerCount, newCustomer)),
			s.stock.SaveMany(ctx, filled(productCount, newStock)))
	})
}

// connect opens a first connection. Instances that at the same time make an empty
// SQLite file one with a write-ahead log are told that it is busy, whatever the busy
// timeout.
func (d *database) connect(ctx context.Context) error {
	for deadline := time.Now().Add(5 * time.Second); ; {
		err := d.db.PingContext(ctx)
		var busy *sqlite.Error
		if !errors.As(err, &busy) || busy.Code() != sqlite3.SQLITE_BUSY || time.Now().After(deadline) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// definingLock is the advisory lock of those who define tables.
const definingLock = 7290

// define runs statements that create what is not there yet, all or none of them.
// Instances that start together do that, and what depends on it in the same
// transaction, one after the other: on PostgreSQL two who create a table at once
// collide, IF NOT EXISTS or not. SQLite has one writer at a time in any case.
func (d *database) define(ctx context.Context, statements ...string) error {
	return d.Transact(ctx, func(ctx context.Context) error {
		if d.dialect == outbox.PostgreSQL {
			if _, err := d.exec(ctx, "SELECT pg_advisory_xact_lock($1)", definingLock); err != nil {
				return err
			}
		}
		for _, statement := range statements {
			if _, err := d.exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func filled[V any](n int, fresh func(id int) V) map[int]V {
	all := make(map[int]V, n)
	for id := 1; id <= n; id++ {
		all[id] = fresh(id)
	}
	return all
}

// visit is what each call to the source begins with.
func (d *database) visit(ctx context.Context) error {
	d.calls.Add(1)
	if d.stopped.Load() {
		return errStopped
	}
	select {
	case <-time.After(time.Duration(d.delay.Load())):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// txKey is where a context has its *sql.Tx.
type txKey struct{}

// Transact implements patterns.Transactor.
func (d *database) Transact(ctx context.Context, do func(ctx context.Context) error) error {
	if _, inside := ctx.Value(txKey{}).(*sql.Tx); inside {
		return do(ctx)
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of an error or a panic; after a commit it does nothing
	if err := do(context.WithValue(ctx, txKey{}, tx)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("%w: %w", cache.ErrOutcomeUnknown, err)
	}
	return nil
}

func (d *database) query(ctx context.Context, statement string, args ...any) (*sql.Rows, error) {
	if tx, inside := ctx.Value(txKey{}).(*sql.Tx); inside {
		return tx.QueryContext(ctx, d.rebind(statement), args...)
	}
	return d.db.QueryContext(ctx, d.rebind(statement), args...)
}

func (d *database) exec(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	if tx, inside := ctx.Value(txKey{}).(*sql.Tx); inside {
		return tx.ExecContext(ctx, d.rebind(statement), args...)
	}
	return d.db.ExecContext(ctx, d.rebind(statement), args...)
}

// rebind turns the parameters $1, $2 into SQLite's ?1, ?2: all that the two
// databases do differently here.
func (d *database) rebind(statement string) string {
	if d.dialect == outbox.SQLite {
		return strings.ReplaceAll(statement, "$", "?")
	}
	return statement
}
