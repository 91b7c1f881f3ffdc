package memory

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// SetObjectWithin is SetObject, and puts the object into the cache within a call of
// within, if that calls put, at most once: for a caller who holds a lock meanwhile.
// Options.Weigh is called before, and Options.OnEvict and the Observer's evictions
// come after within has returned.
func (c *Cache) SetObjectWithin(ctx context.Context, key string, value any, opts cache.EntryOptions, within func(put func())) error {
	if err := c.check(ctx, key); err != nil {
		return opError("set", key, err)
	}
	n, now, err := c.prepareObject(key, value, &opts)
	if err == nil {
		within(func() { err = c.place(n, &opts, now) })
		c.settle()
	}
	return opError("set", key, err)
}
