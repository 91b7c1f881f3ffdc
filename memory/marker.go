package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

var errTooManyMarks = fmt.Errorf("%w: too many write marks and locks on absent keys", cache.ErrUnavailable)

// BeginWrite removes what is under key and marks the key for at most ttl. See
// cache.WriteMarker. A cache holds a bounded number of marks, about a hundred
// thousand; when that is reached it answers cache.ErrUnavailable.
func (c *Cache) BeginWrite(ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
	if err := c.check(ctx, key); err != nil {
		return cache.WriteMark{}, opError("begin_write", key, err)
	}
	lasts, err := wholeTTL(ttl)
	if err != nil {
		return cache.WriteMark{}, opError("begin_write", key, err)
	}
	mark := cache.WriteMark{Writer: newLease()}
	var end int64
	c.coordinator.Invalidate(key)
	c.alter(key, func(old *node) *node {
		if c.closed.Load() { // again: Close drops what is there by now
			err = cache.ErrClosed
			return old
		}
		now := c.now()
		end = now + lasts
		if mark.Epoch, err = c.leases.begin(key, mark.Writer, now, end); err != nil {
			return old
		}
		return nil
	})
	c.coordinator.Invalidate(key)
	c.settle()
	if err != nil {
		return cache.WriteMark{}, opError("begin_write", key, err)
	}
	c.sweeper.expect(end)
	return mark, nil
}

// EndWrite ends a write. See cache.WriteMarker.
func (c *Cache) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	if err := c.check(ctx, key); err != nil {
		return opError("end_write", key, err)
	}
	if mark.Writer == [16]byte{} {
		return opError("end_write", key, cache.ErrInvalidMark)
	}
	c.coordinator.Invalidate(key)
	c.alter(key, func(*node) *node {
		c.leases.end(key, mark, c.now())
		return nil
	})
	c.coordinator.Invalidate(key)
	c.settle()
	return nil
}

// isMarked reports whether a write mark stands on key at now.
func (c *Cache) isMarked(key string, now int64) bool {
	_, marked := c.leases.markAt(key, now)
	return marked
}

// putMarked ends the write that mark began, and puts n, made at madeAt, in the
// table if nothing came between.
func (c *Cache) putMarked(n *node, mark cache.WriteMark, madeAt int64) (err error) {
	c.fills.RLock() // as for a fill: Clear waits
	defer c.fills.RUnlock()
	key := n.Key()
	c.put(n, func(old *node, room error) *node {
		now := c.now()
		err = cache.ErrWriteOverlapped
		if c.leases.untouched(key, mark, now) {
			err = c.admit(n, old, madeAt, room)
		}
		if err == nil {
			c.leases.void(key)
			return n
		}
		c.leases.end(key, mark, now)
		return nil
	})
	return err
}
