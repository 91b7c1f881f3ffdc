package near

import (
	"context"
	"time"
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

// leased reports whether, as far as mode Ack is concerned, hits may be served now.
func (c *Cache) leased(now time.Time) bool {
	return c.acks == nil || int64(c.local.Since(now)) < c.acks.until.Load()
}

// settled ends a change whose outcome on the shared tier is err, and returns what
// the caller is told.
func (c *Cache) settled(ctx context.Context, ch *change, err error) error {
	c.intents.after(ch, err)
	if err != nil || c.acks == nil {
		return err
	}
	return c.acks.wait(ctx)
}
