package memory

import (
	"context"
	"time"
)

// GetObjectAt is GetObject, and tells when during the call the object was found
// to be live, on the cache's clock: see Since. It is for a caller who has a
// deadline of its own for many entries at once, and would else read the clock a
// second time.
func (c *Cache) GetObjectAt(ctx context.Context, key string) (value any, at time.Duration, found bool, err error) {
	if ctx == nil || c.closed.Load() || ctx.Err() != nil || c.observer != nil {
		return c.getObjectAt(ctx, key)
	}
	e := c.hot.find(key)
	inHot := e != nil
	if !inHot {
		e = c.engine.find(key)
	}
	if e == nil || e.kind != kindObject || e.window != 0 || e.lapsed() {
		return c.getObjectAt(ctx, key)
	}
	now := c.now()
	if now >= e.absolute {
		return c.getObjectAt(ctx, key)
	}
	c.noteHit(e, now, inHot)
	return e.object, time.Duration(now), true, nil
}

// getObjectAt is GetObjectAt for all but the usual hit. It reads the clock after
// the look-up, so what it tells is too late rather than too early.
func (c *Cache) getObjectAt(ctx context.Context, key string) (any, time.Duration, bool, error) {
	value, found, err := c.GetObject(ctx, key)
	return value, time.Duration(c.now()), found, err
}

// Since returns t on the cache's clock, which began when the cache was made.
func (c *Cache) Since(t time.Time) time.Duration { return t.Sub(c.base) }
