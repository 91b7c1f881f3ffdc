package intents

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// How a Table does on a database is tested in internal/crash.

func TestNotesKeepWhatTheyWereGiven(t *testing.T) {
	for _, want := range []patterns.Intent{
		{Keys: []string{"a", "\xff\x00 \"b\""}},
		{Keys: []string{"a"}, Tokens: []cache.Token{cache.GlobalToken(), cache.RegionToken("r\xfe"), cache.KeyToken("r", "k")}},
	} {
		text, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"keys":["YQ=="],"tokens":[[],["cg=="],["cg==","aw=="]]}`)
	f.Add(`{"keys":null,"tokens":[["cg==","aw==","eA=="]]}`)
	f.Add(`{"keys":["YQ=="],"later":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		what, err := decode(text)
		if err != nil {
			if !errors.Is(err, cache.ErrUndecodable) || len(what.Keys)+len(what.Tokens) > 0 {
				t.Fatalf("got %q, %v; want ErrUndecodable alone", what, err)
			}
			return
		}
		again, err := encode(what)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(again); err != nil || !reflect.DeepEqual(got, what) {
			t.Errorf("got %q, %v the second time; want %q", got, err, what)
		}
	})
}

// nowhere is a database that cannot be reached.
type nowhere struct{}

var errNowhere = errors.New("nowhere")

func (nowhere) Connect(context.Context) (driver.Conn, error) { return nil, errNowhere }
func (nowhere) Driver() driver.Driver                        { return nil }

func TestBadArguments(t *testing.T) {
	db := sql.OpenDB(nowhere{})
	defer func() { _ = db.Close() }()
	none := func(context.Context) Conn { return nil }
	for name, make := range map[string]func() (*Table, error){
		"no database":   func() (*Table, error) { return New(nil, none, nil) },
		"no tx":         func() (*Table, error) { return New(db, nil, nil) },
		"quoted table":  func() (*Table, error) { return New(db, none, &Options{Table: `a"; DROP TABLE b; --`}) },
		"nested schema": func() (*Table, error) { return New(db, none, &Options{Table: "a.b.c"}) },
	} {
		if _, err := make(); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
	table, err := New(db, none, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Note(t.Context(), patterns.Intent{}); !errors.Is(err, errNoTransaction) {
		t.Errorf("Note: got %v, want that there is no transaction", err)
	}
	if err := table.CreateTable(t.Context()); !errors.Is(err, errNowhere) {
		t.Errorf("CreateTable: got %v, want the database's error", err)
	}
	if _, err := table.Replay(t.Context(), nil); !errors.Is(err, cache.ErrInvalidConfig) {
		t.Errorf("Replay: got %v, want ErrInvalidConfig", err)
	}
}
