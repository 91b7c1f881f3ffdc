// Command fencing shows what a lock's fencing token is for. Two workers sell from
// one stock, each under the lock. The first is paused for longer than its lock
// lasts, wakes up and writes, as if nothing had happened. Nothing but the
// database can refuse that, and it does: each write carries the token of its lock,
// and one with a smaller token than is there changes nothing.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"

	_ "modernc.org/sqlite"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	db, err := openDatabase(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	c, err := larder.Open("memory://", nil)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	stock := cache.NewTyped[int](c, nil)

	// The first worker locks the stock for a moment, and is paused.
	first, _, err := stock.GetAndLock(ctx, "radio", 10*time.Millisecond, cache.LockOptions{Force: true})
	if err != nil {
		return err
	}

	// The second one waits for the lock, which has run out by then.
	left, err := stock.UpdateLocked(ctx, "radio", func(ctx context.Context, _ int, _ bool, fence uint64) (int, error) {
		left, err := readStock(ctx, db, "radio")
		if err != nil {
			return 0, err
		}
		return left - 30, writeStock(ctx, db, "radio", left-30, fence)
	}, cache.UpdateOptions{})
	fmt.Println("second worker:", left, "left", err)

	// The first one wakes up. It has read 100 before it was paused.
	err = writeStock(ctx, db, "radio", 100-10, first.Fence)
	fmt.Println("first worker:", err)

	left, err = readStock(ctx, db, "radio")
	fmt.Println("in the database:", left, err)
	left, _, err = stock.Get(ctx, "radio")
	fmt.Println("in the cache:", left, err)
	return nil
}

func openDatabase(ctx context.Context) (*sql.DB, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // each connection to :memory: is a database of its own
	_, err = db.ExecContext(ctx, `
		CREATE TABLE stock (id TEXT PRIMARY KEY, "left" INTEGER NOT NULL, fence INTEGER NOT NULL DEFAULT 0);
		INSERT INTO stock (id, "left") VALUES ('radio', 100)`)
	return db, err
}

func readStock(ctx context.Context, db *sql.DB, id string) (left int, err error) {
	err = db.QueryRowContext(ctx, `SELECT "left" FROM stock WHERE id = ?`, id).Scan(&left)
	return left, err
}

var errFenced = errors.New("refused: somebody has written under a later lock")

// writeStock writes under a lock. The row remembers the token of the last lock
// under which it was written; the check and the write are one statement.
func writeStock(ctx context.Context, db *sql.DB, id string, left int, fence uint64) error {
	result, err := db.ExecContext(ctx,
		`UPDATE stock SET "left" = ?, fence = ? WHERE id = ? AND fence <= ?`,
		left, int64(fence), id, int64(fence)) // a token fits an int64
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return errFenced
}
