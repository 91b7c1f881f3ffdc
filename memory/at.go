package memory

import (
	"context"
	"time"
)

// GetObjectAt is GetObject, and tells a time within the call, on the cache's clock:
// see Since. At it the object had not expired: to the nanosecond, also in a process
// that was stopped and goes on. It is for a caller who has a deadline of its own for
// many entries at once; the clock is read once for both.
func (c *Cache) GetObjectAt(ctx context.Context, key string) (value any, at time.Duration, found bool, err error) {
	n, usual := c.find(ctx, key, kindObject)
	now := c.now()
	if usual && now < n.Deadline() {
		c.engine.Hit()
		return n.Value.object, time.Duration(now), true, nil
	}
	return c.objectAtSlowly(ctx, key, now, n)
}

// objectAtSlowly is the rest of GetObjectAt.
func (c *Cache) objectAtSlowly(ctx context.Context, key string, now int64, n *node) (any, time.Duration, bool, error) {
	if n != nil && expired(n, now) {
		c.reclaim(n) // what follows would trust the cached time
		n = nil
	}
	n, err := c.readSlowly(ctx, "get", key, kindObject, n)
	if n == nil {
		return nil, time.Duration(now), false, err
	}
	return n.Value.object, time.Duration(now), true, nil
}

// Since returns t on the cache's clock, which began when the cache was made.
func (c *Cache) Since(t time.Time) time.Duration { return t.Sub(c.base) }
