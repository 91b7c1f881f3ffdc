// Package intents keeps what a cache has still to be told in an SQL table beside
// the data, so that a write that goes ahead without the cache leaves nothing stale
// even if its process dies.
//
// Give a Table to the entities (patterns.Entity.Intents) of a CacheAside or
// WriteThrough. A write that finds the cache unreachable then adds a row, in its own
// transaction. Replay removes from the cache what the rows name, and deletes them:
// call it when a service starts and then every few seconds, as with
// patterns.NewSchedule, in one process or in all.
//
// # What is promised
//
// What was committed before a Replay began is not stale in the cache once that has
// returned nil, whichever processes have died, and wherever. From the cache's return
// to that the old entry may be read. Who cannot have that refuses writes without a
// cache: patterns.FailWrite.
//
// # What it is not
//
// It is no queue of writes (see queue/outbox), and does not help against a Redis
// that forgets what it had acknowledged, as one restored from a snapshot does: clear
// such a cache.
package intents

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// DefaultTable is the table whose options name none.
const DefaultTable = "larder_intents"

// Options configure a Table. The zero value, and nil, mean the defaults.
type Options struct {
	// Table is its name: letters, digits and underscores, and one dot for a schema.
	// Keys are noted as one cache knows them: another cache needs another table.
	// Empty: DefaultTable.
	Table string
}

// Conn is a transaction: an *sql.Tx, or what wraps one.
type Conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// Table is a table of intents, one row for each write that the cache was not told
// of. It grows with the writes of an outage. It is safe for concurrent use, starts
// no goroutine and needs no Close: the database stays the caller's.
type Table struct {
	db   *sql.DB
	tx   func(ctx context.Context) Conn
	name string
}

var _ patterns.Intents = (*Table)(nil)

var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}(\.[A-Za-z_][A-Za-z0-9_]{0,62})?$`)

// New returns the table in db, which must be there: see Table.CreateTable. tx
// returns the transaction that the repository's Transact has put into ctx, or nil.
// The database takes parameters such as $1: PostgreSQL, SQLite. Bad arguments are
// cache.ErrInvalidConfig.
func New(db *sql.DB, tx func(ctx context.Context) Conn, opts *Options) (*Table, error) {
	t := &Table{db: db, tx: tx, name: DefaultTable}
	if opts != nil && opts.Table != "" {
		t.name = opts.Table
	}
	var errs []error
	if db == nil {
		errs = append(errs, refused("db", nil, "must not be nil"))
	}
	if tx == nil {
		errs = append(errs, refused("tx", nil, "must not be nil"))
	}
	if !tableName.MatchString(t.name) {
		errs = append(errs, refused("Options.Table", t.name, "is no plain name"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func refused(option string, value any, reason string) error {
	return &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}

// Schema returns the statement that creates the table where it is not there yet, for
// those who migrate their schemas by other means than CreateTable.
func Schema(table string) string {
	return "CREATE TABLE IF NOT EXISTS " + table + " (id TEXT NOT NULL PRIMARY KEY, note TEXT NOT NULL)"
}

// CreateTable creates the table where it is not there yet. Several processes may do
// so at once.
func (t *Table) CreateTable(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	_, err := t.db.ExecContext(ctx, Schema(t.name))
	if err == nil {
		return nil
	}
	var n int // PostgreSQL fails one of those who create it at once
	if t.db.QueryRowContext(ctx, "SELECT count(*) FROM "+t.name+" WHERE 1 = 0").Scan(&n) == nil {
		return nil
	}
	return fmt.Errorf("larder: intents: create table: %w", err)
}

// errNoTransaction refuses a note that would not share the fate of its write.
var errNoTransaction = errors.New("larder: intents: the write is in no transaction")

// Note implements patterns.Intents. It costs one INSERT.
func (t *Table) Note(ctx context.Context, what patterns.Intent) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	tx := t.tx(ctx)
	if tx == nil {
		return errNoTransaction
	}
	text, err := encode(what)
	if err == nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO "+t.name+" (id, note) VALUES ($1, $2)", rand.Text(), text)
	}
	if err != nil {
		return fmt.Errorf("larder: intents: note: %w", err)
	}
	return nil
}

// batch is how many notes are replayed at once.
const batch = 200

// Replay tells c what is noted, deletes the notes and returns how many there were.
// c is the cache of the entities, on any process. Without notes it costs one SELECT.
// If c cannot be reached the notes stay, and the error is c's. One that cannot be
// read, as of a later version, stays and is cache.ErrUndecodable.
func (t *Table) Replay(ctx context.Context, c cache.Cache) (replayed int, err error) {
	if err := cache.CheckContext(ctx); err != nil {
		return 0, err
	}
	if c == nil {
		return 0, refused("cache", nil, "must not be nil")
	}
	var after string
	var unreadable error
	for {
		notes, err := t.read(ctx, after)
		if err != nil {
			return replayed, fmt.Errorf("larder: intents: read: %w", err)
		}
		if len(notes) == 0 {
			return replayed, unreadable
		}
		after = notes[len(notes)-1].id
		known := slices.DeleteFunc(notes, func(n note) bool {
			if n.err != nil {
				unreadable = fmt.Errorf("larder: intents: %w", n.err)
			}
			return n.err != nil
		})
		if err := tell(ctx, c, known); err != nil {
			return replayed, err
		}
		if err := t.forget(ctx, known); err != nil {
			return replayed, fmt.Errorf("larder: intents: delete: %w", err)
		}
		replayed += len(known)
	}
}

// note is a row.
type note struct {
	id   string
	what patterns.Intent
	err  error // why it cannot be read
}

func (t *Table) read(ctx context.Context, after string) (notes []note, err error) {
	rows, err := t.db.QueryContext(ctx, "SELECT id, note FROM "+t.name+" WHERE id > $1 ORDER BY id LIMIT $2", after, batch)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n note
		var text string
		if err := rows.Scan(&n.id, &text); err != nil {
			return nil, err
		}
		n.what, n.err = decode(text)
		notes = append(notes, n)
	}
	return notes, rows.Err()
}

// tell removes each key once and expires each token once.
func tell(ctx context.Context, c cache.Cache, notes []note) error {
	var keys []string
	var tokens []cache.Token
	for _, n := range notes {
		keys = append(keys, n.what.Keys...)
		for _, token := range n.what.Tokens {
			if !slices.Contains(tokens, token) {
				tokens = append(tokens, token)
			}
		}
	}
	slices.Sort(keys)
	if err := remove(ctx, c, slices.Compact(keys)); err != nil || len(tokens) == 0 {
		return err
	}
	regions, ok := cache.As[cache.Regions](c)
	if !ok {
		return fmt.Errorf("larder: intents: tokens for a cache without regions: %w", errors.ErrUnsupported)
	}
	for some := range slices.Chunk(tokens, cache.MaxTokens) {
		if err := regions.ExpireTokens(ctx, some...); err != nil {
			return err
		}
	}
	return nil
}

func remove(ctx context.Context, c cache.Cache, keys []string) error {
	if b, ok := cache.As[cache.Batcher](c); ok && len(keys) > 1 {
		return b.RemoveMany(ctx, keys)
	}
	for _, key := range keys {
		if err := c.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// forget deletes the notes, and no other that came meanwhile.
func (t *Table) forget(ctx context.Context, notes []note) error {
	if len(notes) == 0 {
		return nil
	}
	ids, places := make([]any, len(notes)), make([]string, len(notes))
	for i, n := range notes {
		ids[i], places[i] = n.id, fmt.Sprint("$", i+1)
	}
	_, err := t.db.ExecContext(ctx, "DELETE FROM "+t.name+" WHERE id IN ("+strings.Join(places, ", ")+")", ids...)
	return err
}

// stored is an Intent as JSON: keys are bytes, and a token has as many names as it
// has levels.
type stored struct {
	Keys   [][]byte   `json:"keys"`
	Tokens [][][]byte `json:"tokens,omitempty"`
}

func encode(what patterns.Intent) (string, error) {
	var s stored
	for _, key := range what.Keys {
		s.Keys = append(s.Keys, []byte(key))
	}
	for _, t := range what.Tokens {
		names := [][]byte{}
		if region, ok := t.Region(); ok {
			names = append(names, []byte(region))
		}
		if key, ok := t.Key(); ok {
			names = append(names, []byte(key))
		}
		s.Tokens = append(s.Tokens, names)
	}
	text, err := json.Marshal(s)
	return string(text), err
}

func decode(text string) (what patterns.Intent, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	var s stored
	if d.Decode(&s) != nil {
		return what, errUnreadable
	}
	for _, key := range s.Keys {
		what.Keys = append(what.Keys, string(key))
	}
	for _, names := range s.Tokens {
		switch len(names) {
		case 0:
			what.Tokens = append(what.Tokens, cache.GlobalToken())
		case 1:
			what.Tokens = append(what.Tokens, cache.RegionToken(string(names[0])))
		case 2:
			what.Tokens = append(what.Tokens, cache.KeyToken(string(names[0]), string(names[1])))
		default:
			return patterns.Intent{}, errUnreadable
		}
	}
	return what, nil
}

var errUnreadable = fmt.Errorf("%w: no note of this version", cache.ErrUndecodable)
