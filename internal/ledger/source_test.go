package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/queue/outbox"
)

// source is the table that the clients' writes are for. Each row has the number
// that was saved, which rises with every write of its key, and the sequence it
// came with. A trigger notes each row whose number ever goes down.
type source struct {
	db      *sql.DB
	dialect outbox.Dialect
	errors  float64 // how many calls fail, before or after they did their work
}

var _ patterns.Applier[int, int64] = (*source)(nil)

// poisonEvery is the distance of writes that the source never takes: one in a
// hundred of those of a key, and one in a hundred of the keys written once.
const poisonEvery = 100

func poisonous(id int, n int64) bool {
	return n%poisonEvery == 0 || id >= onceFirst && id/onceEvery%poisonEvery == 0
}

// create makes the tables and the trigger.
func (s *source) create(ctx context.Context) error {
	statements := []string{
		"CREATE TABLE data (id INTEGER PRIMARY KEY, n BIGINT NOT NULL, seq BIGINT NOT NULL)",
		"CREATE TABLE inversions (id INTEGER NOT NULL, was BIGINT NOT NULL, became BIGINT NOT NULL)",
		"CREATE TABLE absorbed (late SMALLINT NOT NULL)",
	}
	if s.dialect == outbox.SQLite {
		statements = append(statements, `CREATE TRIGGER order_of_data AFTER UPDATE ON data WHEN NEW.n < OLD.n
BEGIN INSERT INTO inversions VALUES (OLD.id, OLD.n, NEW.n); END`)
	} else {
		statements = append(statements,
			`CREATE FUNCTION note_inversion() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN INSERT INTO inversions VALUES (OLD.id, OLD.n, NEW.n); RETURN NEW; END'`,
			"CREATE TRIGGER order_of_data AFTER UPDATE ON data FOR EACH ROW WHEN (NEW.n < OLD.n) EXECUTE FUNCTION note_inversion()")
	}
	for _, statement := range statements {
		if _, err := s.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

var (
	errPoison  = errors.New("the source never takes this one")
	errBad     = errors.New("the source had a bad moment")
	errDeleted = errors.New("nothing is ever deleted here")
)

// Apply writes the changes one by one. What the source has is not written again,
// and noted.
func (s *source) Apply(ctx context.Context, changes []patterns.Change[int, int64]) []error {
	errs := make([]error, len(changes))
	for i, c := range changes {
		errs[i] = s.apply(ctx, c)
	}
	return errs
}

func (s *source) apply(ctx context.Context, c patterns.Change[int, int64]) error {
	luck := rand.Float64()
	switch {
	case poisonous(c.ID, c.Value):
		return errPoison
	case luck < s.errors/2:
		return errBad
	}
	result, err := s.db.ExecContext(ctx, s.bind(`INSERT INTO data (id, n, seq) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET n = excluded.n, seq = excluded.seq WHERE data.seq < excluded.seq`), c.ID, c.Value, int64(c.Sequence))
	if err != nil {
		return err
	}
	if luck > 1-s.errors/2 {
		return errBad // although it was written
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	if err := s.absorb(ctx, c); err != nil {
		return err
	}
	return patterns.ErrDuplicate
}

// absorb notes a write that the source had, or that came after a later one.
func (s *source) absorb(ctx context.Context, c patterns.Change[int, int64]) error {
	_, err := s.db.ExecContext(ctx, s.bind("INSERT INTO absorbed SELECT CASE WHEN seq > $1 THEN 1 ELSE 0 END FROM data WHERE id = $2"),
		int64(c.Sequence), c.ID)
	return err
}

func (s *source) bind(statement string) string {
	if s.dialect == outbox.SQLite {
		return strings.ReplaceAll(statement, "$", "?")
	}
	return statement
}

// Find, Save and Delete make it a repository; the workers use Apply.
func (s *source) Find(ctx context.Context, id int) (n int64, err error) {
	err = s.db.QueryRowContext(ctx, s.bind("SELECT n FROM data WHERE id = $1"), id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, cache.ErrNotFound
	}
	return n, err
}

func (s *source) Save(context.Context, int, int64) error { return errDeleted }
func (s *source) Delete(context.Context, int) error      { return errDeleted }

// tally is what the source noted.
type tally struct{ rows, inversions, duplicates, late int }

func (s *source) tally(ctx context.Context) (t tally, err error) {
	for query, n := range map[string]*int{
		"SELECT COUNT(*) FROM data":                    &t.rows,
		"SELECT COUNT(*) FROM inversions":              &t.inversions,
		"SELECT COUNT(*) FROM absorbed WHERE late = 0": &t.duplicates,
		"SELECT COUNT(*) FROM absorbed WHERE late = 1": &t.late,
	} {
		if err := s.db.QueryRowContext(ctx, query).Scan(n); err != nil {
			return t, fmt.Errorf("%s: %w", query, err)
		}
	}
	return t, nil
}
