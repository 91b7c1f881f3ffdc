package patterns_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
)

type product struct{ Name, Category string }

var errSource = errors.New("the source said no")

// table is a source with transactions that see their own writes, and nobody
// else's before the commit.
type table struct {
	mu     sync.Mutex
	rows   map[int]product
	found  int                     // finds so far
	asked  [][]int                 // ids of each FindMany
	before func(step string) error // told of "find", "save", "delete", "commit"
}

type tableTx struct{ writes map[int]*product } // nil: deleted

type tableTxKey struct{ *table }

func newTable(rows map[int]product) *table {
	return &table{rows: rows, before: func(string) error { return nil }}
}

func (t *table) Find(ctx context.Context, id int) (product, error) {
	found, err := t.FindMany(ctx, []int{id})
	if v, ok := found[id]; ok || err != nil {
		return v, err
	}
	return product{}, cache.ErrNotFound
}

func (t *table) FindMany(ctx context.Context, ids []int) (map[int]product, error) {
	if err := t.before("find"); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found++
	t.asked = append(t.asked, slices.Sorted(slices.Values(ids)))
	rows := maps.Clone(t.rows)
	if tx, ok := ctx.Value(tableTxKey{t}).(*tableTx); ok {
		tx.apply(rows)
	}
	maps.DeleteFunc(rows, func(id int, _ product) bool { return !slices.Contains(ids, id) })
	return rows, nil
}

func (tx *tableTx) apply(rows map[int]product) {
	for id, v := range tx.writes {
		if v == nil {
			delete(rows, id)
		} else {
			rows[id] = *v
		}
	}
}

func (t *table) Save(ctx context.Context, id int, v product) error {
	return t.write(ctx, "save", id, &v)
}
func (t *table) Delete(ctx context.Context, id int) error { return t.write(ctx, "delete", id, nil) }

func (t *table) write(ctx context.Context, step string, id int, v *product) error {
	if err := errors.Join(ctx.Err(), t.before(step)); err != nil {
		return err
	}
	if tx, ok := ctx.Value(tableTxKey{t}).(*tableTx); ok {
		tx.writes[id] = v
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	(&tableTx{map[int]*product{id: v}}).apply(t.rows)
	return nil
}

func (t *table) Transact(ctx context.Context, do func(context.Context) error) error {
	tx := &tableTx{map[int]*product{}}
	if err := do(context.WithValue(ctx, tableTxKey{t}, tx)); err != nil {
		return err
	}
	if err := t.before("commit"); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tx.apply(t.rows)
	return nil
}

func (t *table) in(category string) []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []int
	for id, v := range t.rows {
		if v.Category == category {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (t *table) finds() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.found
}

// plain is t without FindMany and Transact.
func (t *table) plain() patterns.Repository[int, product] {
	return patterns.Funcs[int, product]{FindFunc: t.Find, SaveFunc: t.Save, DeleteFunc: t.Delete}
}

func byCategory(_ int, v product) []cache.Token {
	return []cache.Token{cache.KeyToken("category", v.Category)}
}

var entity = patterns.Entity[int, product]{Dependents: byCategory}

// onCaches runs f on a memory cache and on a Redis.
func onCaches(t *testing.T, f func(t *testing.T, c cache.Cache)) {
	t.Run("memory", func(t *testing.T) { f(t, openMemory(t)) })
	t.Run("redis", func(t *testing.T) { f(t, openRedis(t)) })
}

func openMemory(t testing.TB) cache.Cache {
	c, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCache(t, c) })
	return c
}

func openRedis(t testing.TB) cache.Cache {
	c, err := distributed.New(redistest.MiniClient(t, redistest.Mini(t)), &distributed.Options{Budget: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeCache(t, c) })
	return c
}

func closeCache(t testing.TB, c cache.Backend) {
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// must returns v, unless there is an error.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// wantFind checks what a repository finds; a zero product is none.
func wantFind(t *testing.T, r patterns.Repository[int, product], id int, want product) {
	t.Helper()
	got, err := r.Find(t.Context(), id)
	if errors.Is(err, cache.ErrNotFound) && want == (product{}) {
		return
	}
	if err != nil || got != want {
		t.Errorf("found %v, %v, want %v", got, err, want)
	}
}

// wantLoads checks how often f asked the source.
func wantLoads(t *testing.T, s *table, want int, f func()) {
	t.Helper()
	before := s.finds()
	f()
	if got := s.finds() - before; got != want {
		t.Errorf("the source was asked %d times, want %d", got, want)
	}
}
