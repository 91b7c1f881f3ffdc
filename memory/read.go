package memory

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// Get returns a copy of the bytes under key. See cache.Cache.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool, error) {
	n, err := c.read(ctx, "get", key, kindBytes)
	if n == nil {
		return nil, false, err
	}
	return copyOf(n.Value.text()), true, nil
}

// AppendTo appends the bytes under key to dst. It allocates only if dst has no
// room for them. See cache.Appender.
func (c *Cache) AppendTo(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
	n, err := c.read(ctx, "get", key, kindBytes)
	if n == nil {
		return dst, false, err
	}
	return append(dst, n.Value.text()...), true, nil
}

// GetObject returns the object under key, which the caller shares with every
// other reader. A hit does not allocate. See cache.Objects.
func (c *Cache) GetObject(ctx context.Context, key string) (any, bool, error) {
	n, usual := c.find(ctx, key, kindObject)
	if usual {
		c.engine.Hit()
		return n.Value.object, true, nil
	}
	n, err := c.readSlowly(ctx, "get", key, kindObject, n)
	if n == nil {
		return nil, false, err
	}
	return n.Value.object, true, nil
}

// Count returns the counter under key. See cache.Counter.
func (c *Cache) Count(ctx context.Context, key string) (int64, bool, error) {
	n, err := c.read(ctx, "count", key, kindCounter)
	if n == nil {
		return 0, false, err
	}
	return n.Value.number().Load(), true, nil
}

// GetMany returns copies of the bytes under keys. See cache.Batcher.
func (c *Cache) GetMany(ctx context.Context, keys []string) ([]cache.Result, error) {
	if err := c.checkContext(ctx); err != nil {
		return nil, err
	}
	results := make([]cache.Result, len(keys))
	hits, misses := 0, 0
	for i, key := range keys {
		r := &results[i]
		if r.Err = cache.CheckKey(key); r.Err != nil {
			r.Err = opError("get", key, r.Err)
			continue
		}
		n, err := c.judge(c.engine.Find(key), kindBytes)
		switch {
		case err != nil:
			r.Err = opError("get", key, err)
		case n == nil:
			misses++
			c.engine.Miss()
		default:
			hits++
			c.engine.Hit()
			c.ranks.note(key)
			r.Value, r.Found = copyOf(n.Value.text()), true
		}
	}
	c.observe(ctx, cache.EventHit, "get", hits)
	c.observe(ctx, cache.EventMiss, "get", misses)
	return results, nil
}

// Refresh restarts the sliding window of the entry under key, exactly. See
// cache.Cache.
func (c *Cache) Refresh(ctx context.Context, key string) error {
	if err := c.check(ctx, key); err != nil {
		return opError("refresh", key, err)
	}
	if n := c.engine.Find(key); n != nil && c.use(n) {
		slide(n, c.now())
	}
	return nil
}

// read finds the live node of that kind under key and counts a hit or a miss; a
// miss is nil. It does not keep key. GetObject is the same written out.
func (c *Cache) read(ctx context.Context, op, key string, want kind) (*node, error) {
	n, usual := c.find(ctx, key, want)
	if usual {
		c.engine.Hit()
		return n, nil
	}
	return c.readSlowly(ctx, op, key, want, n)
}

// find returns the node under key, or nil, also if the call is refused. usual
// says that it is live and of that kind, its window restarted, and there is nothing
// to do but to count the hit, as for nearly all: that is decided here, with as few
// calls as can be. What is in the table has a good key, so only its length is
// checked before the look-up.
func (c *Cache) find(ctx context.Context, key string, want kind) (n *node, usual bool) {
	if ctx == nil || c.closed.Load() || ctx.Err() != nil || len(key) > cache.MaxKeyLength {
		return nil, false
	}
	if n = c.engine.Find(key); n == nil {
		return nil, false
	}
	s := n.Value.side.Load()
	if n.Value.kind() != want || c.watched || s.lapsed() {
		return n, false
	}
	if s != nil && s.window > 0 {
		return n, c.engine.Slide(n, s.window, s.absolute)
	}
	return n, c.engine.Live(n)
}

func (c *Cache) readSlowly(ctx context.Context, op, key string, want kind, n *node) (*node, error) {
	if n == nil {
		if err := c.check(ctx, key); err != nil {
			return nil, err
		}
	}
	n, err := c.judge(n, want)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		c.engine.Miss()
		c.observe(ctx, cache.EventMiss, op, 1)
	default:
		c.engine.Hit()
		c.ranks.note(key)
		c.observe(ctx, cache.EventHit, op, 1)
	}
	return n, nil
}

// judge returns n, its sliding window restarted, if it is live and of that kind,
// and nil if it is gone.
func (c *Cache) judge(n *node, want kind) (*node, error) {
	switch {
	case n == nil:
		return nil, nil
	case n.Value.kind() == want:
		if c.use(n) {
			return n, nil
		}
	case !expired(n, c.now()):
		return nil, cache.ErrWrongType
	default:
		c.reclaim(n)
	}
	return nil, nil
}

// use reports whether n is live, and restarts its sliding window, lazily: see
// the package's documentation.
func (c *Cache) use(n *node) bool {
	e := &n.Value
	window, absolute := e.sliding()
	switch {
	case e.lapsed():
	case window == 0 && c.engine.Live(n), window > 0 && c.engine.Slide(n, window, absolute):
		return true
	case slide(n, c.now()): // it is locked
		return true
	}
	c.reclaim(n)
	return false
}

// reclaim removes n, which has expired, if it is still in the table.
func (c *Cache) reclaim(n *node) {
	now := c.now()
	c.alter(n.Key(), func(old *node) *node {
		if old != n || !end(n, now) {
			return old
		}
		return nil
	})
	c.settle()
}

func (c *Cache) observe(ctx context.Context, kind cache.EventKind, op string, count int) {
	if c.observer != nil && count > 0 {
		c.observer.Observe(ctx, cache.Event{Kind: kind, Layer: layer, Op: op, Count: count})
	}
}

// copyOf returns a copy that is not nil.
func copyOf(s string) []byte {
	return append(make([]byte, 0, len(s)), s...)
}
