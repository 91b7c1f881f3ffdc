package crash_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
	"github.com/larder-go/larder/internal/sqltest"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
	"github.com/larder-go/larder/patterns/intents"
)

// desk is a store with a table of intents, and a cache that can be taken away.
type desk struct {
	*store
	table  *intents.Table
	faults *cachetest.Faults
	cache  cache.Cache
	typed  *cache.Typed[int]
}

func onDesks(t *testing.T, test func(t *testing.T, d desk)) {
	for name, database := range map[string]func(testing.TB) sqltest.Database{
		"SQLite":     sqltest.SQLite,
		"PostgreSQL": func(tb testing.TB) sqltest.Database { return sqltest.Postgres(tb).Database(tb) },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := memory.New(nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close(context.Background()) })
			d := desk{store: &store{database(t).Open(t), func(string) {}}}
			d.faults, d.cache = cachetest.NewFaults(c, 1)
			d.typed = cache.NewTyped[int](d.cache, nil)
			if d.table, err = d.intentsTable(); err != nil {
				t.Fatal(err)
			}
			if err := d.db.Ping(); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for range 4 { // at once
				all.Go(func() {
					if err := d.table.CreateTable(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			test(t, d)
		})
	}
}

func (d desk) note(t *testing.T, what patterns.Intent, outcome error) {
	t.Helper()
	err := d.Transact(t.Context(), func(ctx context.Context) error {
		return errors.Join(d.table.Note(ctx, what), outcome)
	})
	if !errors.Is(err, outcome) {
		t.Fatal(err)
	}
}

func (d desk) replays(t *testing.T, want int, wantErr error) {
	t.Helper()
	if got, err := d.table.Replay(t.Context(), d.cache); got != want || !errors.Is(err, wantErr) {
		t.Errorf("replayed %d notes, %v; want %d and %v", got, err, want, wantErr)
	}
}

// has checks whether the cache has an entry of this key.
func (d desk) has(t *testing.T, key string, want bool) {
	t.Helper()
	if _, found, err := d.typed.Get(t.Context(), key); found != want || err != nil {
		t.Errorf("%s: found %v, %v; want %v", key, found, err, want)
	}
}

func (d desk) fill(t *testing.T, key string, tokens ...cache.Token) {
	t.Helper()
	if err := d.typed.Set(t.Context(), key, 1, cache.EntryOptions{TTL: time.Hour, Tokens: tokens}); err != nil {
		t.Fatal(err)
	}
}

// A note shares the fate of its transaction, and stays until the cache was told.
func TestReplayTellsWhatWasCommitted(t *testing.T) {
	onDesks(t, func(t *testing.T, d desk) {
		fruit := cache.KeyToken("category", "fruit")
		for _, key := range []string{"a", "b", "c"} {
			d.fill(t, key)
		}
		d.fill(t, "list", fruit)
		d.replays(t, 0, nil)
		d.note(t, patterns.Intent{Keys: []string{"a"}, Tokens: []cache.Token{fruit}}, nil)
		d.note(t, patterns.Intent{Keys: []string{"b"}}, errRollBack)
		d.faults.Plan(cachetest.Fault{Kind: cachetest.FailBefore, Err: cache.ErrUnavailable})
		d.replays(t, 0, cache.ErrUnavailable)
		d.faults.Plan()
		d.replays(t, 1, nil)
		d.has(t, "a", false)
		d.has(t, "b", true)
		d.has(t, "c", true)
		d.has(t, "list", false)
		d.fill(t, "a")
		d.replays(t, 0, nil)
		d.has(t, "a", true)
	})
}

// A long outage leaves more than is replayed at once, and one that cannot be read
// keeps nobody from the others.
func TestReplayGoesThroughAll(t *testing.T) {
	onDesks(t, func(t *testing.T, d desk) {
		const n = 450
		err := d.Transact(t.Context(), func(ctx context.Context) error {
			for i := range n {
				key := fmt.Sprint("key", i/2)
				tokens := []cache.Token{cache.RegionToken(fmt.Sprint("region", i%40))}
				if err := d.table.Note(ctx, patterns.Intent{Keys: []string{key}, Tokens: tokens}); err != nil {
					return err
				}
			}
			_, err := d.conn(ctx).ExecContext(ctx, "INSERT INTO larder_intents VALUES ('later', '{\"form\":2}')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range n / 2 {
			d.fill(t, fmt.Sprint("key", i))
		}
		d.fill(t, "list", cache.RegionToken("region39"))
		d.replays(t, n, cache.ErrUndecodable)
		for i := range n / 2 {
			d.has(t, fmt.Sprint("key", i), false)
		}
		d.has(t, "list", false)
		d.replays(t, 0, cache.ErrUndecodable)
	})
}
