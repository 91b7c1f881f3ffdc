package near

import (
	"cmp"
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
)

// until returns until when a hit may be served, on the local tier's clock. It must
// be read before the look-up: what was heard of by then is gone from what is looked
// up after it.
func (c *Cache) until() int64 {
	until := c.contact.until.Load()
	if c.acks != nil {
		until = min(until, c.acks.until.Load())
	}
	return until
}

// settled ends a change whose outcome on the shared tier is err, and returns what
// the caller is told.
func (c *Cache) settled(ctx context.Context, ch *change, err error) error {
	c.intents.after(ch, err)
	overlapped := errors.Is(err, cache.ErrWriteOverlapped) // it may have removed a value all the same
	if c.acks == nil || err != nil && !overlapped {
		return err
	}
	return cmp.Or(c.acks.wait(ctx), err)
}
