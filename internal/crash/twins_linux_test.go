package crash_test

import (
	"context"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// naive writes as one does without write marks: the source, and then the cache,
// which gets the value (that before the commit) or forgets it.
type naive struct {
	*patterns.ReadThrough[int, product]
	store *store
	cache cache.Cache
	sets  bool
}

func (n *naive) Save(ctx context.Context, id int, v product) error {
	if err := n.store.Save(ctx, id, v); err != nil {
		return err
	}
	if n.sets {
		key := entity(nil).Key(id)
		return cache.NewTyped[product](n.cache, nil).Set(ctx, key, v, cache.EntryOptions{})
	}
	return n.Invalidate(ctx, id)
}

func (n *naive) Delete(ctx context.Context, id int) error {
	if err := n.store.Delete(ctx, id); err != nil {
		return err
	}
	return n.Invalidate(ctx, id)
}

func (n *naive) Transact(ctx context.Context, do func(ctx context.Context) error) error {
	return n.store.Transact(ctx, do)
}
