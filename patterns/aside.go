package patterns

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// CacheAside is a repository that reads through a cache and invalidates on
// writes: the source is asked for what is not cached, and a write removes the
// entry, so that the next reader loads what the source made of it. It is the
// pattern for what is read more often than written.
//
// Reads are cache.Loading's: one load per key, and if the cache fails the source
// is read. Writes are guarded as described at [WriteThrough], and store nothing. If
// the cache cannot be reached they go ahead, as its policy Invalidate has it; with
// Entity.Intents nothing of that stays stale.
//
// It has FindMany, SaveMany and Transact whatever the repository below has: what
// that lacks is done one by one, and Transact without a Transactor below runs its
// function and leaves what it wrote as it is.
type CacheAside[K comparable, V any] struct{ *writer[K, V] }

// ReadThrough is the reading half of a CacheAside, for a source that others
// write: they call Invalidate.
type ReadThrough[K comparable, V any] struct{ *reader[K, V] }

var (
	_ Repository[int, int] = (*CacheAside[int, int])(nil)
	_ ManyFinder[int, int] = (*CacheAside[int, int])(nil)
	_ ManySaver[int, int]  = (*CacheAside[int, int])(nil)
	_ Transactor           = (*CacheAside[int, int])(nil)
)

// NewCacheAside wraps inner. The error wraps cache.ErrInvalidConfig, or is
// ErrComposition if inner caches already. Close it after use only if c is a cache
// of four methods.
func NewCacheAside[K comparable, V any](c cache.Cache, inner Repository[K, V], entity Entity[K, V]) (*CacheAside[K, V], error) {
	w, err := newWriter(c, inner, entity, layerCaching)
	if err != nil {
		return nil, err
	}
	return &CacheAside[K, V]{w}, nil
}

// NewReadThrough returns a cached view of find, which returns cache.ErrNotFound
// for what the source does not have.
func NewReadThrough[K comparable, V any](c cache.Cache, find func(ctx context.Context, id K) (V, error), entity Entity[K, V]) (*ReadThrough[K, V], error) {
	if find == nil {
		return nil, refuse("find", nil, "must not be nil")
	}
	r, err := newReader(c, Funcs[K, V]{FindFunc: find}, entity)
	if err != nil {
		return nil, err
	}
	return &ReadThrough[K, V]{r}, nil
}

// newWriter returns what a wrapper of this kind over inner needs.
func newWriter[K comparable, V any](c cache.Cache, inner Repository[K, V], entity Entity[K, V], kind layer) (*writer[K, V], error) {
	if err := checkComposition(inner, kind); err != nil {
		return nil, err
	}
	r, err := newReader(c, inner, entity)
	if err != nil {
		return nil, err
	}
	w := &writer[K, V]{reader: r}
	if w.regions, _ = cache.As[cache.Regions](c); w.regions != nil && (entity.Options != nil || entity.Dependents != nil) {
		w.regions.TrackRegions()
	}
	_, coordinated := cache.As[cache.Coordinated](c)
	_, leaser := cache.As[cache.Leaser](c)
	w.alone = !coordinated || !leaser
	w.mend = func(_ context.Context, _ func(context.Context) error, err error) error { return err }
	if entity.Intents != nil {
		return w, w.useIntents()
	}
	return w, nil
}

// Find returns the value of id, from the cache or else from the source, whose
// cache.ErrNotFound it passes on, from memory too if Entity.Typed.NegativeTTL says
// so. A hit costs what Loading.Get's costs.
func (a *CacheAside[K, V]) Find(ctx context.Context, id K) (V, error) { return a.loading.Get(ctx, id) }

// FindMany returns the values of ids that the source has. It asks the source only
// for those that are not cached, all at once if the source can.
func (a *CacheAside[K, V]) FindMany(ctx context.Context, ids []K) (map[K]V, error) {
	return a.loading.GetMany(ctx, ids)
}

// Save saves v in the source and removes the entry of id. If that worked but the
// cache could not be told, the error is cache.ErrCommittedCacheDegraded.
func (a *CacheAside[K, V]) Save(ctx context.Context, id K, v V) error { return a.save(ctx, id, v) }

// SaveMany is Save for many.
func (a *CacheAside[K, V]) SaveMany(ctx context.Context, values map[K]V) error {
	return a.saveMany(ctx, values)
}

// Delete deletes id in the source and removes its entry, as Save does.
func (a *CacheAside[K, V]) Delete(ctx context.Context, id K) error { return a.delete(ctx, id) }

// Transact runs do in a transaction of the source: see WriteThrough.Transact.
func (a *CacheAside[K, V]) Transact(ctx context.Context, do func(ctx context.Context) error) error {
	return a.transactWith(ctx, do)
}

// Invalidate removes the entry of id, whose source somebody else has written.
func (a *CacheAside[K, V]) Invalidate(ctx context.Context, id K) error {
	return a.loading.Remove(ctx, id)
}

// Close ends what a cache of four methods needs: see cache.Typed.Close.
func (a *CacheAside[K, V]) Close(ctx context.Context) error { return a.loading.Close(ctx) }

// Find is CacheAside.Find.
func (r *ReadThrough[K, V]) Find(ctx context.Context, id K) (V, error) { return r.loading.Get(ctx, id) }

// FindMany is CacheAside.FindMany.
func (r *ReadThrough[K, V]) FindMany(ctx context.Context, ids []K) (map[K]V, error) {
	return r.loading.GetMany(ctx, ids)
}

// Invalidate is CacheAside.Invalidate.
func (r *ReadThrough[K, V]) Invalidate(ctx context.Context, id K) error {
	return r.loading.Remove(ctx, id)
}

// Close is CacheAside.Close.
func (r *ReadThrough[K, V]) Close(ctx context.Context) error { return r.loading.Close(ctx) }

// transactWith runs do in a transaction of the source that this wrapper takes part
// in.
func (w *writer[K, V]) transactWith(ctx context.Context, do func(ctx context.Context) error) error {
	if do == nil {
		return refuse("do", nil, "must not be nil")
	}
	source, _ := w.inner.(Transactor)
	return transact(ctx, work{w, w.begin, source, func(ctx context.Context, _ participant) error { return do(ctx) }})
}
