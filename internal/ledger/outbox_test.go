package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/sqltest"
	"github.com/larder-go/larder/queue"
	"github.com/larder-go/larder/queue/outbox"
	"github.com/larder-go/larder/queue/queuetest"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis's notes of a server that was killed
	child()
	m.Run()
}

// dialects are the databases that an outbox is tested in.
var dialects = map[string]outbox.Dialect{"PostgreSQL": outbox.PostgreSQL, "SQLite": outbox.SQLite}

// database returns an empty database that speaks d.
func database(tb testing.TB, d outbox.Dialect) sqltest.Database {
	tb.Helper()
	if d == outbox.PostgreSQL {
		return sqltest.Postgres(tb).Database(tb)
	}
	db := sqltest.SQLite(tb)
	db.DSN = strings.Replace(db.DSN, "_txlock=immediate&", "", 1) // the outbox does without
	return db
}

func newOutbox(tb testing.TB, db *sql.DB, d outbox.Dialect, table string) *outbox.Queue {
	tb.Helper()
	q, err := outbox.New(db, d, &outbox.Options{Table: table})
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

func TestOutboxKeepsTheContract(t *testing.T) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			db := database(t, d).Open(t)
			var n atomic.Int64
			tables := map[queue.Queue]string{}
			queuetest.Run(t, queuetest.Config{
				New: func(tb testing.TB) queue.Queue {
					table := fmt.Sprint("queue_", n.Add(1))
					q := newOutbox(tb, db, d, table)
					tables[q] = table
					if err := q.CreateTable(context.Background()); err != nil {
						tb.Fatal(err)
					}
					return q
				},
				Reopen: func(tb testing.TB, q queue.Queue) queue.Queue { return newOutbox(tb, db, d, tables[q]) },
				Unit:   60 * time.Millisecond,
			})
		})
	}
}

func TestOutboxPreflight(t *testing.T) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			db := database(t, d).Open(t)
			db.SetMaxOpenConns(1) // settings are a connection's
			q := newOutbox(t, db, d, "queue")
			if err := q.Preflight(ctx); err == nil {
				t.Error("Preflight without a table: got no error")
			}
			for range 2 { // it may be there already
				if err := q.CreateTable(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if err := q.Preflight(ctx); err != nil {
				t.Errorf("Preflight: got %v, want no error", err)
			}
			weaken := map[outbox.Dialect]string{outbox.PostgreSQL: "SET synchronous_commit = off", outbox.SQLite: "PRAGMA synchronous = OFF"}
			if _, err := db.Exec(weaken[d]); err != nil {
				t.Fatal(err)
			}
			if err := q.Preflight(ctx); !errors.Is(err, queue.ErrVolatile) {
				t.Errorf("Preflight where commits may be lost: got %v, want ErrVolatile", err)
			}
		})
	}
}

func TestOutboxRefusesBadOptions(t *testing.T) {
	db := sqltest.SQLite(t).Open(t)
	for name, err := range map[string]error{
		"no database":   second(outbox.New(nil, outbox.SQLite, nil)),
		"dialect":       second(outbox.New(db, 0, nil)),
		"quoted table":  second(outbox.New(db, outbox.SQLite, &outbox.Options{Table: `a"; DROP TABLE b; --`})),
		"nested schema": second(outbox.New(db, outbox.SQLite, &outbox.Options{Table: "a.b.c"})),
	} {
		if !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
