package crash_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/patterns/intents"
)

type product struct{ Name, Category string }

const schema = "CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, category text NOT NULL)"

// store is a repository over an SQL database, as a service would have it. It tells
// of each step that it takes.
type store struct {
	db   *sql.DB
	step func(name string)
}

// conn is what a connection pool and a transaction have in common.
type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

type txKey struct{}

func (s *store) conn(ctx context.Context) conn {
	if tx, ok := ctx.Value(txKey{}).(*sql.Tx); ok {
		return tx
	}
	return s.db
}

// intents returns those of the store, if it is to have any.
func (s *store) intents(wanted bool) (patterns.Intents, error) {
	if !wanted {
		return nil, nil
	}
	t, err := s.intentsTable()
	return notes{t, s}, err
}

func (s *store) intentsTable() (*intents.Table, error) {
	return intents.New(s.db, func(ctx context.Context) intents.Conn {
		if tx, ok := ctx.Value(txKey{}).(*sql.Tx); ok {
			return tx
		}
		return nil
	}, nil)
}

// notes are a table of intents that tells of each step.
type notes struct {
	*intents.Table
	store *store
}

func (n notes) Note(ctx context.Context, what patterns.Intent) error {
	n.store.step("before it is noted")
	err := n.Table.Note(ctx, what)
	n.store.step("after it was noted")
	return err
}

func (s *store) Find(ctx context.Context, id int) (product, error) {
	found, err := s.FindMany(ctx, []int{id})
	if v, ok := found[id]; ok || err != nil {
		return v, err
	}
	return product{}, cache.ErrNotFound
}

func (s *store) FindMany(ctx context.Context, ids []int) (map[int]product, error) {
	s.step("before the source is read")
	list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ids)), ","), "[]")
	rows, err := s.conn(ctx).QueryContext(ctx, "SELECT id, name, category FROM products WHERE id IN ("+list+")")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[int]product{}
	for rows.Next() {
		var id int
		var v product
		if err := rows.Scan(&id, &v.Name, &v.Category); err != nil {
			return nil, err
		}
		found[id] = v
	}
	s.step("after the source was read")
	return found, rows.Err()
}

func (s *store) Save(ctx context.Context, id int, v product) error {
	return s.exec(ctx, "saved", `INSERT INTO products VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, category = excluded.category`, id, v.Name, v.Category)
}

func (s *store) Delete(ctx context.Context, id int) error {
	return s.exec(ctx, "deleted", "DELETE FROM products WHERE id = $1", id)
}

func (s *store) exec(ctx context.Context, what, query string, args ...any) error {
	s.step("before it is " + what)
	_, err := s.conn(ctx).ExecContext(ctx, query, args...)
	s.step("after it was " + what)
	return err
}

func (s *store) Transact(ctx context.Context, do func(ctx context.Context) error) (err error) {
	s.step("before the transaction")
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if rolledBack := tx.Rollback(); rolledBack == nil {
			s.step("after the rollback")
		}
	}()
	if err := do(context.WithValue(ctx, txKey{}, tx)); err != nil {
		s.step("before the rollback")
		return err
	}
	s.step("before the commit")
	if err := tx.Commit(); err != nil {
		return errors.Join(cache.ErrOutcomeUnknown, err)
	}
	s.step("after the commit")
	return nil
}

// in returns the ids of a category.
func (s *store) in(ctx context.Context, category string) ([]int, error) {
	rows, err := s.conn(ctx).QueryContext(ctx, "SELECT id FROM products WHERE category = $1 ORDER BY id", category)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
