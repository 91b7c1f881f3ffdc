package outbox_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"testing"

	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
)

// recorder is a database that does what it is told and says that the context has
// ended when a transaction begins.
type recorder struct{ told []string }

func (r *recorder) Connect(context.Context) (driver.Conn, error) { return r, nil }
func (r *recorder) Driver() driver.Driver                        { return nil }
func (r *recorder) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (r *recorder) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (r *recorder) Close() error                                 { return nil }

func (r *recorder) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	if r.told = append(r.told, query); query == "BEGIN IMMEDIATE" {
		return nil, context.Canceled
	}
	return driver.RowsAffected(0), nil
}

// A transaction that has begun although its context ended must not stay open: it
// would keep all others from writing.
func TestNoTransactionStaysOpen(t *testing.T) {
	r := &recorder{}
	db := sql.OpenDB(r)
	defer func() { _ = db.Close() }()
	q, err := outbox.New(db, outbox.SQLite, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Enqueue(t.Context(), queue.Write{Key: "a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Enqueue: got %v, want the driver's error", err)
	}
	if want := []string{"BEGIN IMMEDIATE", "ROLLBACK"}; !slices.Equal(r.told, want) {
		t.Errorf("the database was told %q, want %q", r.told, want)
	}
}
