package memory

import (
	"context"
	"time"
)

// GetObjectAt is GetObject as of a moment on the cache's clock, see Since, that the
// caller has read within its own call: an object that it returns had not expired
// then, to the nanosecond, also in a process that was stopped and goes on. It is for
// a caller who has a deadline of its own for many entries at once, and so has read the
// clock already. A moment that is a little late makes entries expire earlier for this
// call.
func (c *Cache) GetObjectAt(ctx context.Context, key string, at time.Duration) (value any, found bool, err error) {
	n, usual := c.find(ctx, key, kindObject)
	if usual && int64(at) < n.Deadline() {
		c.engine.Hit()
		return n.Value.object, true, nil
	}
	return c.objectAtSlowly(ctx, key, int64(at), n)
}

// objectAtSlowly is the rest of GetObjectAt.
func (c *Cache) objectAtSlowly(ctx context.Context, key string, at int64, n *node) (any, bool, error) {
	if n != nil && expired(n, at) {
		c.reclaim(n) // what follows would trust the cached time
		n = nil
	}
	n, err := c.readSlowly(ctx, "get", key, kindObject, n)
	if n == nil {
		return nil, false, err
	}
	return n.Value.object, true, nil
}

// Since returns t on the cache's clock, which began when the cache was made.
func (c *Cache) Since(t time.Time) time.Duration { return t.Sub(c.base) }
