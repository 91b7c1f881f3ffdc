package memory

import (
	"fmt"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/engine"
)

// limitsOf returns the engine's limits, which has one in bytes at least if none
// is given.
func limitsOf(maxEntries int, maxBytes int64) engine.Limits {
	if maxEntries == 0 && maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	return engine.Limits{Entries: int64(maxEntries), Weight: maxBytes}
}

// counterSize is the weight of a counter's number.
const counterSize = 8

var errPinnedFull = fmt.Errorf("%w: pinned entries leave no room for it", cache.ErrValueTooLarge)

// entryWeight returns what an entry weighs whose value weighs size.
func entryWeight(key string, size int64) int64 {
	return int64(len(key)) + size + EntryOverhead
}

// objectSize returns the weight of an object without its key.
func (c *Cache) objectSize(key string, value any) int64 {
	if c.weigh != nil {
		if size := c.askWeigh(key, value); size >= 0 {
			return min(size, maxSize)
		}
	}
	return min(c.sizer.Of(value), maxSize)
}

// maxSize keeps sums of sizes from overflowing.
const maxSize = 1 << 48

// askWeigh returns -1 if the caller's function panics.
func (c *Cache) askWeigh(key string, value any) (size int64) {
	size = -1
	defer reportPanic(c.observer, "weigh")
	return c.weigh(key, value)
}

// Resize changes both limits, with the meaning they have in Options, and evicts
// until the rest fits. Pinned entries stay, even if they alone exceed the limits:
// then nothing more is stored until they leave. Other calls go on meanwhile.
func (c *Cache) Resize(maxEntries int, maxBytes int64) error {
	if c.closed.Load() {
		return cache.ErrClosed
	}
	if err := (&Options{MaxEntries: maxEntries, MaxBytes: maxBytes}).check(); err != nil {
		return err
	}
	c.engine.Resize(limitsOf(maxEntries, maxBytes))
	c.settle()
	return nil
}
