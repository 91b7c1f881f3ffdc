package cachetest

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// whole checks what a batch fails for as a whole.
func (m *Model) whole(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if err := m.lockOpen(); err != nil {
		return err
	}
	m.mu.Unlock()
	return nil
}

// GetMany implements cache.Batcher.
func (m *Model) GetMany(ctx context.Context, keys []string) ([]cache.Result, error) {
	if err := m.whole(ctx); err != nil {
		return nil, err
	}
	results := make([]cache.Result, len(keys))
	for i, key := range keys {
		r := &results[i]
		r.Value, r.Found, r.Err = m.Get(ctx, key)
	}
	return results, nil
}

// SetMany implements cache.Batcher.
func (m *Model) SetMany(ctx context.Context, items []cache.Item) error {
	return m.each(ctx, len(items), func(i int) error {
		return m.Set(ctx, items[i].Key, items[i].Value, items[i].Options)
	})
}

// RemoveMany implements cache.Batcher.
func (m *Model) RemoveMany(ctx context.Context, keys []string) error {
	return m.each(ctx, len(keys), func(i int) error { return m.Remove(ctx, keys[i]) })
}

// each does n things and says which of them failed.
func (m *Model) each(ctx context.Context, n int, do func(i int) error) error {
	if err := m.whole(ctx); err != nil {
		return err
	}
	errs := make([]error, n)
	failed := false
	for i := range errs {
		errs[i] = do(i)
		failed = failed || errs[i] != nil
	}
	if failed {
		return &cache.BatchError{Errs: errs}
	}
	return nil
}
