package sqltest

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite
)

// Database says how to open a database. It may be copied to another process.
type Database struct{ Driver, DSN string }

// SQLite returns a database that is empty and kept in a file; it is gone when the
// test ends. Transactions take the write lock when they begin, so that two of them
// wait for each other instead of failing.
func SQLite(tb testing.TB) Database {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "data.db")
	return Database{"sqlite", "file:" + file + "?_txlock=immediate&_pragma=busy_timeout(20000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)"}
}

// Open returns a pool of connections, which is closed when the test ends.
func (d Database) Open(tb testing.TB) *sql.DB {
	tb.Helper()
	db, err := sql.Open(d.Driver, d.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}
