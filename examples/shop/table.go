package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// table is a patterns.Repository over a table: what the wrappers of package
// patterns go around. It is a ManyFinder, a ManySaver and, through its database,
// a Transactor.
type table[V any] struct {
	*database
	name    string
	columns []string         // the first is the id
	fields  func(v *V) []any // pointers to the columns' values
	merge   string           // what an existing row becomes; "": the new one
	reads   meter
}

// sources are the tables.
type sources struct {
	products  *table[Product]
	customers *table[Customer]
	stock     *table[Stock]
	views     viewsTable
}

func newSources(d *database) *sources {
	return &sources{
		products: &table[Product]{database: d, name: "products", columns: []string{"id", "name", "category", "cents"},
			fields: func(p *Product) []any { return []any{&p.ID, &p.Name, &p.Category, &p.Cents} }},
		customers: &table[Customer]{database: d, name: "customers", columns: []string{"id", "name", "city", "email"},
			fields: func(c *Customer) []any { return []any{&c.ID, &c.Name, &c.City, &c.Email} }},
		stock: &table[Stock]{database: d, name: "stock", columns: []string{"id", "units"},
			fields: func(s *Stock) []any { return []any{&s.ID, &s.Left} }},
		views: viewsTable{&table[Views]{database: d, name: "views", columns: []string{"id", "count"},
			fields: func(v *Views) []any { return []any{&v.ID, &v.Count} },
			merge:  "count = views.count + excluded.count"}},
	}
}

// Find implements patterns.Repository.
func (t *table[V]) Find(ctx context.Context, id int) (V, error) {
	found, err := t.FindMany(ctx, []int{id})
	v, ok := found[id]
	if err == nil && !ok {
		err = cache.ErrNotFound
	}
	return v, err
}

// FindMany implements patterns.ManyFinder.
func (t *table[V]) FindMany(ctx context.Context, ids []int) (map[int]V, error) {
	end := t.reads.measure(len(ids))
	if err := t.visit(ctx); err != nil {
		return nil, err
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := t.query(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE id IN (%s)",
		strings.Join(t.columns, ", "), t.name, parameters(len(ids))), args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := make(map[int]V, len(ids))
	for rows.Next() {
		var v V
		fields := t.fields(&v)
		if err := rows.Scan(fields...); err != nil {
			return nil, err
		}
		found[*fields[0].(*int)] = v
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	end()
	return found, nil
}

// ids returns the ids of the rows that fulfil a condition, in its order.
func (t *table[V]) ids(ctx context.Context, where string, args ...any) (ids []int, err error) {
	if err := t.visit(ctx); err != nil {
		return nil, err
	}
	rows, err := t.query(ctx, "SELECT id FROM "+t.name+" WHERE "+where, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Save implements patterns.Repository.
func (t *table[V]) Save(ctx context.Context, _ int, v V) error {
	if err := t.visit(ctx); err != nil {
		return err
	}
	return t.put(ctx, v)
}

// SaveMany implements patterns.ManySaver: one visit for all, which is what a
// write-behind gains by its batches.
func (t *table[V]) SaveMany(ctx context.Context, values map[int]V) error {
	if err := t.visit(ctx); err != nil {
		return err
	}
	return t.Transact(ctx, func(ctx context.Context) error {
		for _, v := range values {
			if err := t.put(ctx, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *table[V]) put(ctx context.Context, v V) error {
	merge := t.merge
	if merge == "" {
		sets := make([]string, 0, len(t.columns))
		for _, c := range t.columns[1:] {
			sets = append(sets, c+" = excluded."+c)
		}
		merge = strings.Join(sets, ", ")
	}
	_, err := t.exec(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (id) DO UPDATE SET %s",
		t.name, strings.Join(t.columns, ", "), parameters(len(t.columns)), merge), t.fields(&v)...)
	return err
}

// Delete implements patterns.Repository.
func (t *table[V]) Delete(ctx context.Context, id int) error {
	if err := t.visit(ctx); err != nil {
		return err
	}
	_, err := t.exec(ctx, "DELETE FROM "+t.name+" WHERE id = $1", id)
	return err
}

// parameters returns $1, $2, ..., $n.
func parameters(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint("$", i+1)
	}
	return strings.Join(all, ", ")
}

// viewsTable is a table whose Save adds. It takes part in the write-behind as a
// patterns.Applier: with each sum goes its sequence, and a sum that is delivered
// again, because a worker died before it could say that it was done, is not added
// again.
type viewsTable struct{ *table[Views] }

var _ patterns.Applier[int, Views] = viewsTable{}

// Save adds v, without a queue.
func (t viewsTable) Save(ctx context.Context, id int, v Views) error {
	if t.refused.Load() == int64(id) {
		return errRefused
	}
	return t.table.Save(ctx, id, v)
}

// Apply implements patterns.Applier.
func (t viewsTable) Apply(ctx context.Context, changes []patterns.Change[int, Views]) []error {
	errs := make([]error, len(changes))
	down := t.visit(ctx)
	for i, c := range changes {
		if errs[i] = down; down == nil {
			errs[i] = t.apply(ctx, c)
		}
	}
	return errs
}

func (t viewsTable) apply(ctx context.Context, c patterns.Change[int, Views]) error {
	if t.refused.Load() == int64(c.ID) {
		return errRefused
	}
	count := "views.count + excluded.count"
	if c.Deleted || c.Fresh { // the row stays, and with it the sequence
		count = "excluded.count"
	}
	result, err := t.exec(ctx, `INSERT INTO views (id, count, sequence) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET count = `+count+`, sequence = excluded.sequence
		WHERE views.sequence < excluded.sequence`, c.ID, c.Value.Count, int64(c.Sequence))
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return patterns.ErrDuplicate
}
