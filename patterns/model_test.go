package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// everything is what the wrappers that cache have in common.
type everything interface {
	patterns.Repository[int, product]
	patterns.ManyFinder[int, product]
	patterns.ManySaver[int, product]
	patterns.Transactor
}

// Whatever is done, a wrapper finds what a map would, in transactions too, and its
// lists show that.
func TestWrappersAgreeWithAMap(t *testing.T) {
	type repository = patterns.Repository[int, product]
	type entity = patterns.Entity[int, product]
	hook := func(inner repository) (everything, error) {
		return patterns.NewHooked(inner, patterns.Hooks[int, product]{})
	}
	for name, wrap := range map[string]func(c cache.Cache, s *table, e entity) (everything, error){
		"aside": func(c cache.Cache, s *table, e entity) (everything, error) {
			return patterns.NewCacheAside(c, repository(s), e)
		},
		"aside of plain source": func(c cache.Cache, s *table, e entity) (everything, error) {
			return patterns.NewCacheAside(c, s.plain(), e)
		},
		"through": func(c cache.Cache, s *table, e entity) (everything, error) {
			return patterns.NewWriteThrough(c, repository(s), e, nil)
		},
		"through, failing writes": func(c cache.Cache, s *table, e entity) (everything, error) {
			return patterns.NewWriteThrough(c, repository(s), e, &patterns.WriteThroughOptions{WhenCacheFails: patterns.FailWrite})
		},
		"hooks around aside": func(c cache.Cache, s *table, e entity) (everything, error) {
			return hook(must(patterns.NewCacheAside(c, repository(s), e)))
		},
		"through around hooks": func(c cache.Cache, s *table, e entity) (everything, error) {
			return patterns.NewWriteThrough(c, repository(must(hook(s))), e, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onCaches(t, func(t *testing.T, c cache.Cache) {
				if strings.HasSuffix(t.Name(), "redis") && (testing.Short() || name != "aside" && name != "through") {
					t.Skip("takes ten seconds, and has been done with a wrapper like this")
				}
				run := 0
				rapid.Check(t, func(r *rapid.T) {
					run++
					m := newModel(r, run)
					m.plain = name == "aside of plain source"
					m.wrapper = must(wrap(c, m.source, m.entity()))
					m.lists = must(patterns.NewQuery(c, m.wrapper, m.ask, patterns.QueryOptions[string, int]{
						Name: fmt.Sprint("model", run), Tokens: m.tokens,
					}))
					m.run()
				})
			})
		})
	}
}

// model is a wrapper beside a map. Each has keys and tokens of its own.
type model struct {
	r       *rapid.T
	ctx     context.Context
	name    int
	wrapper everything
	lists   *patterns.Query[string, int, product]
	source  *table
	rows    map[int]product
	fail    string // the step that fails, and that rolls a transaction back
	plain   bool   // whether the source has no transactions
}

func newModel(r *rapid.T, name int) *model {
	m := &model{r: r, ctx: r.Context(), name: name, source: newTable(map[int]product{}), rows: map[int]product{}}
	m.source.before = func(step string) error {
		if step == m.fail {
			return errSource
		}
		return nil
	}
	return m
}

func (m *model) entity() patterns.Entity[int, product] {
	return patterns.Entity[int, product]{
		AppendKey:   func(dst []byte, id int) []byte { return fmt.Appendf(dst, "model-%d-%d", m.name, id) },
		Dependents:  func(_ int, v product) []cache.Token { return m.tokens(v.Category) },
		ShouldCache: func(_ int, v product) bool { return v.Name != "uncached" },
	}
}

func (m *model) tokens(category string) []cache.Token {
	return []cache.Token{cache.KeyToken("category", fmt.Sprint(m.name, category))}
}

func (m *model) ask(ctx context.Context, category string) ([]int, error) {
	all, err := m.source.FindMany(ctx, modelIDs)
	maps.DeleteFunc(all, func(_ int, v product) bool { return v.Category != category })
	return slices.Sorted(maps.Keys(all)), err
}

var (
	modelIDs        = []int{1, 2, 3}
	modelCategories = []string{"fruit", "vegetables"}
)

func (m *model) run() {
	m.r.Repeat(map[string]func(*rapid.T){
		"find":     func(r *rapid.T) { m.find(m.ctx, m.rows, m.id()) },
		"findMany": func(r *rapid.T) { m.findMany(m.ctx, m.rows) },
		"list":     func(r *rapid.T) { m.list(m.ctx, m.rows, m.category()) },
		"write":    func(r *rapid.T) { m.writes(func() error { return m.write(m.ctx, m.rows) }) },
		"failing write": func(r *rapid.T) {
			m.fail = rapid.SampledFrom([]string{"save", "delete", "find"}).Draw(r, "step")
			before := maps.Clone(m.rows)
			if err := m.write(m.ctx, m.rows); errors.Is(err, errSource) {
				m.rows = before
			} else if err != nil {
				r.Fatalf("write: %v", err)
			}
			m.fail = ""
		},
		"transact": m.transact,
		"": func(*rapid.T) {
			if !maps.Equal(m.source.rows, m.rows) {
				m.r.Fatalf("the source has %v, want %v", m.source.rows, m.rows)
			}
		},
	})
	for _, id := range modelIDs {
		m.find(m.ctx, m.rows, id)
	}
	for _, category := range modelCategories {
		m.list(m.ctx, m.rows, category)
	}
}

func (m *model) id() int          { return rapid.SampledFrom(modelIDs).Draw(m.r, "id") }
func (m *model) category() string { return rapid.SampledFrom(modelCategories).Draw(m.r, "category") }

func (m *model) value() product {
	return product{rapid.SampledFrom([]string{"old", "new", "uncached"}).Draw(m.r, "name"), m.category()}
}

func (m *model) writes(write func() error) {
	if err := write(); err != nil {
		m.r.Fatalf("write: %v", err)
	}
}

// write changes the source through the wrapper, and rows.
func (m *model) write(ctx context.Context, rows map[int]product) error {
	switch rapid.SampledFrom([]string{"save", "many", "delete"}).Draw(m.r, "write") {
	case "save":
		id, v := m.id(), m.value()
		rows[id] = v
		return m.wrapper.Save(ctx, id, v)
	case "many":
		if m.fail != "" {
			return nil // all or none only in a transaction
		}
		values := map[int]product{m.id(): m.value(), m.id(): m.value()}
		maps.Copy(rows, values)
		return m.wrapper.SaveMany(ctx, values)
	}
	id := m.id()
	delete(rows, id)
	return m.wrapper.Delete(ctx, id)
}

// transact writes in a transaction. Inside, its own writes are seen; outside, none of
// them until the commit.
func (m *model) transact(r *rapid.T) {
	if m.plain {
		r.Skip("the source has no transactions")
	}
	rows := maps.Clone(m.rows)
	end := rapid.SampledFrom([]string{"commit", "roll back", "fail to commit"}).Draw(r, "end")
	err := m.wrapper.Transact(m.ctx, func(ctx context.Context) error {
		for range rapid.IntRange(0, 3).Draw(r, "writes") {
			m.writes(func() error { return m.write(ctx, rows) })
			m.find(ctx, rows, m.id())
			m.list(ctx, rows, m.category())
			m.find(m.ctx, m.rows, m.id())
			m.list(m.ctx, m.rows, m.category())
		}
		switch end {
		case "roll back":
			return errSource
		case "fail to commit":
			m.fail = "commit"
		}
		return nil
	})
	m.fail = ""
	if committed := end == "commit"; committed != (err == nil) || !committed && !errors.Is(err, errSource) {
		r.Fatalf("%s: got %v", end, err)
	} else if committed {
		m.rows = rows
	}
}

func (m *model) find(ctx context.Context, rows map[int]product, id int) {
	got, err := m.wrapper.Find(ctx, id)
	want, ok := rows[id]
	if got != want || ok != (err == nil) || !ok && !errors.Is(err, cache.ErrNotFound) {
		m.r.Fatalf("found %v, %v, want %v, %v", got, err, want, ok)
	}
}

func (m *model) findMany(ctx context.Context, rows map[int]product) {
	if got, err := m.wrapper.FindMany(ctx, modelIDs); err != nil || !maps.Equal(got, rows) {
		m.r.Fatalf("found %v, %v, want %v", got, err, rows)
	}
}

func (m *model) list(ctx context.Context, rows map[int]product, category string) {
	var want []product
	for _, id := range modelIDs {
		if v, ok := rows[id]; ok && v.Category == category {
			want = append(want, v)
		}
	}
	if got, err := m.lists.Find(ctx, category); err != nil || !slices.Equal(got, want) {
		m.r.Fatalf("list %v, %v, want %v", got, err, want)
	}
}
