package distributed

import (
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
)

// SetIfNewer stores a copy of value under key unless the entry has this order or
// a later one: one script. A damaged entry makes room, foreign data is
// cache.ErrWrongType. See cache.Ordered.
func (c *Cache) SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error {
	const op = "set_if_newer"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	if order == 0 {
		return failed(op, key, cache.ErrInvalidVersion)
	}
	p, err := c.prepareOrdered(key, value, order, opts)
	if err != nil {
		return failed(op, key, err)
	}
	_, err = c.changeTo(ctx, op, key, p, newerScript)
	if errors.Is(err, cache.ErrNoEntry) {
		err = failed(op, key, cache.ErrWrongType) // foreign data
	}
	return err
}
