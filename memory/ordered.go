package memory

import (
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
)

// SetIfNewer stores a copy of value under key unless the entry has this order or
// a later one. See cache.Ordered.
func (c *Cache) SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error {
	_, err := c.replace(ctx, "set_if_newer", key, checkOrder(order), c.ifOlder(key, kindBytes, order), func() (*node, int64, error) {
		return ordered(order)(c.prepareBytes(key, value, &opts))
	})
	return newerOrSame(err)
}

// SetObjectIfNewer is SetIfNewer for an object. See cache.ObjectVersioner.
func (c *Cache) SetObjectIfNewer(ctx context.Context, key string, value any, order uint64, opts cache.EntryOptions) error {
	_, err := c.replace(ctx, "set_if_newer", key, checkOrder(order), c.ifOlder(key, kindObject, order), func() (*node, int64, error) {
		return ordered(order)(c.prepareObject(key, value, &opts))
	})
	return newerOrSame(err)
}

func checkOrder(order uint64) error {
	if order == 0 {
		return cache.ErrInvalidVersion
	}
	return nil
}

// ordered gives a node that was prepared its order.
func ordered(order uint64) func(*node, int64, error) (*node, int64, error) {
	return func(n *node, now int64, err error) (*node, int64, error) {
		if err == nil {
			n.Value.setOrder(order)
		}
		return n, now, err
	}
}

// errSame stops a write of what is there already.
var errSame = errors.New("memory: the same order")

func newerOrSame(err error) error {
	if errors.Is(err, errSame) {
		return nil
	}
	return err
}

// ifOlder allows no entry and no write mark, or an entry of this kind that is
// older.
func (c *Cache) ifOlder(key string, want kind, order uint64) condition {
	return func(old *node, now int64) error {
		switch {
		case old == nil && c.isMarked(key, now):
			return cache.ErrBeingWritten
		case old == nil:
			return nil
		case old.Value.kind() != want:
			return cache.ErrWrongType
		case old.Value.order() == order:
			return errSame
		case old.Value.order() > order:
			return &cache.OutdatedError{Current: old.Value.order()}
		}
		return nil
	}
}
