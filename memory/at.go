package memory

import (
	"context"
	"time"
)

// GetObjectAt is GetObject, and tells the time on the cache's clock at which the
// object was found to be live, or a later one: see Since. It is for a caller who has
// a deadline of its own for many entries at once.
func (c *Cache) GetObjectAt(ctx context.Context, key string) (value any, at time.Duration, found bool, err error) {
	value, found, err = c.GetObject(ctx, key)
	return value, time.Duration(c.now()), found, err
}

// Since returns t on the cache's clock, which began when the cache was made.
func (c *Cache) Since(t time.Time) time.Duration { return t.Sub(c.base) }
