package patterns

import (
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
)

// reader is what the wrappers that cache have in common: an entity's view of a
// cache, with the repository below as what loads it. They read through loading, which
// asks that repository alone in a transaction: what is seen there is nobody else's to
// know yet.
type reader[K comparable, V any] struct {
	cache   cache.Cache
	entity  Entity[K, V]
	inner   Repository[K, V]
	loading *cache.Loading[K, V]
}

func newReader[K comparable, V any](c cache.Cache, inner Repository[K, V], entity Entity[K, V]) (*reader[K, V], error) {
	if inner == nil {
		return nil, refuse("inner", nil, "must not be nil")
	}
	if err := entity.check(c); err != nil {
		return nil, err
	}
	r := &reader[K, V]{cache: c, entity: entity, inner: inner}
	r.loading = cache.NewLoading(c, r.load, &cache.LoadingOptions[K, V]{
		TypedOptions: entity.Typed, AppendKey: entity.AppendKey, LoadMany: r.loadMany, Transactional: true,
	})
	return r, r.loading.Typed().Check()
}

// findMany asks inner for ids, at once if it can.
func findMany[K comparable, V any](ctx context.Context, inner Repository[K, V], ids []K) (map[K]V, error) {
	if finder, ok := inner.(ManyFinder[K, V]); ok {
		return finder.FindMany(ctx, ids)
	}
	found := make(map[K]V, len(ids))
	for _, id := range ids {
		v, err := inner.Find(ctx, id)
		switch {
		case err == nil:
			found[id] = v
		case !errors.Is(err, cache.ErrNotFound):
			return nil, err
		}
	}
	return found, nil
}

func (r *reader[K, V]) load(ctx context.Context, id K, e *cache.Entry) (V, error) {
	v, err := r.inner.Find(ctx, id)
	if err == nil {
		r.describe(id, v, e)
	}
	return v, err
}

func (r *reader[K, V]) loadMany(ctx context.Context, ids []K, e *cache.Entry) (map[K]V, error) {
	found, err := findMany(ctx, r.inner, ids)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if v, ok := found[id]; ok {
			r.describe(id, v, e.At(i))
		}
	}
	return found, nil
}

// describe says how the entry of v is kept.
func (r *reader[K, V]) describe(id K, v V, e *cache.Entry) {
	opts, keep := r.entity.options(id, v)
	tokens := opts.Tokens
	opts.Tokens = nil
	e.EntryOptions, e.NoStore = opts, !keep
	if len(tokens) > 0 {
		e.AddToken(tokens...)
	}
}

func (r *reader[K, V]) key(id K) string { return r.entity.Key(id) }
