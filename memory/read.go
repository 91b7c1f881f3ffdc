package memory

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// Get returns a copy of the bytes under key. See cache.Cache.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, err := c.read(ctx, "get", key, kindBytes)
	if e == nil {
		return nil, false, err
	}
	return copyOf(e.bytes), true, nil
}

// AppendTo appends the bytes under key to dst. It allocates only if dst has no
// room for them. See cache.Appender.
func (c *Cache) AppendTo(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
	e, err := c.read(ctx, "get", key, kindBytes)
	if e == nil {
		return dst, false, err
	}
	return append(dst, e.bytes...), true, nil
}

// GetObject returns the object under key, which the caller shares with every
// other reader. A hit does not allocate. See cache.Objects.
func (c *Cache) GetObject(ctx context.Context, key string) (any, bool, error) {
	e, err := c.read(ctx, "get", key, kindObject)
	if e == nil {
		return nil, false, err
	}
	return e.object, true, nil
}

// Count returns the counter under key. See cache.Counter.
func (c *Cache) Count(ctx context.Context, key string) (int64, bool, error) {
	e, err := c.read(ctx, "count", key, kindCounter)
	if e == nil {
		return 0, false, err
	}
	return e.number().Load(), true, nil
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
		e, err := c.judge(c.engine.find(key), kindBytes)
		switch {
		case err != nil:
			r.Err = opError("get", key, err)
		case e == nil:
			misses++
			c.counters.miss()
		default:
			hits++
			c.counters.hit()
			r.Value, r.Found = copyOf(e.bytes), true
		}
	}
	c.observe(ctx, cache.EventHit, "get", hits)
	c.observe(ctx, cache.EventMiss, "get", misses)
	return results, nil
}

// Refresh restarts the sliding window of the entry under key. See cache.Cache.
func (c *Cache) Refresh(ctx context.Context, key string) error {
	if err := c.check(ctx, key); err != nil {
		return opError("refresh", key, err)
	}
	if e := c.engine.find(key); e != nil {
		c.use(e)
	}
	return nil
}

// read finds the live entry of that kind under key and counts a hit or a miss;
// a miss is nil. It does not keep key.
//
// The usual hit is decided here, with as few calls as can be: what is in the
// table has a good key, so only its length is checked before the look-up.
func (c *Cache) read(ctx context.Context, op, key string, want kind) (*entry, error) {
	if ctx == nil || c.closed.Load() || ctx.Err() != nil || len(key) > cache.MaxKeyLength {
		return nil, c.check(ctx, key)
	}
	e := c.hot.find(key)
	inHot := e != nil
	if !inHot {
		e = c.engine.find(key)
	}
	if e != nil && e.kind == want && e.window == 0 && !e.lapsed() && c.observer == nil {
		if now := c.now(); now < e.absolute {
			c.noteHit(e, now, inHot)
			return e, nil
		}
	}
	return c.readSlowly(ctx, op, key, want, e, inHot)
}

// noteHit counts a hit at now, and offers the entry to the hot table if it came
// from the engine. If it did not, the engine, whose policy shall not take hot
// entries for cold ones, is told unless it was told of another hit a moment ago:
// so it knows every hit of a cache that is not very busy, and telling it never
// takes more than a small part of a reader's time. While the cache is less than
// half full the engine need not know what it is going to evict.
func (c *Cache) noteHit(e *entry, now int64, inHot bool) {
	s := c.counters.stripe()
	n := s.hits.Add(1)
	if !inHot {
		c.hot.offer(e, n)
		return
	}
	if now-s.told.Load() < hotSilence && n%hotReport != 0 {
		return
	}
	s.told.Store(now)
	if c.counters.used.Load() > c.limits.Load().capacity/2 {
		c.engine.find(e.key)
	}
}

func (c *Cache) readSlowly(ctx context.Context, op, key string, want kind, e *entry, inHot bool) (*entry, error) {
	if e == nil {
		if err := cache.CheckKey(key); err != nil {
			return nil, err
		}
	}
	e, err := c.judge(e, want)
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		c.counters.miss()
		c.observe(ctx, cache.EventMiss, op, 1)
	default:
		c.noteHit(e, c.now(), inHot)
		c.observe(ctx, cache.EventHit, op, 1)
	}
	return e, nil
}

// judge returns e, its sliding window restarted, if it is live and of that kind,
// and nil if it is gone.
func (c *Cache) judge(e *entry, want kind) (*entry, error) {
	switch {
	case e == nil:
		return nil, nil
	case e.kind == want:
		if c.use(e) {
			return e, nil
		}
	case !e.expired(c.now()):
		return nil, cache.ErrWrongType
	default:
		c.reclaim(e)
	}
	return nil, nil
}

// use reports whether e is live, and restarts its sliding window.
//
// Every read moves a sliding deadline exactly. The engine is told only when
// the deadline would pass the time at which it may reclaim e, and before the
// deadline moves, so it never reclaims a live entry.
func (c *Cache) use(e *entry) bool {
	now := c.now()
	for {
		deadline := e.deadline.Load()
		if e.lapsed() || now >= deadline && e.lockAt(now) == nil {
			c.reclaim(e)
			return false
		}
		if e.window == 0 {
			return true
		}
		next := min(now+e.window, e.absolute)
		if next <= deadline {
			return true
		}
		if next > e.reclaim.Load() {
			c.engine.rewrite(e, func() { e.reclaim.Store(max(e.reclaim.Load(), e.reclaimAfter(next))) })
		}
		if e.deadline.CompareAndSwap(deadline, next) {
			return true
		}
	}
}

// reclaim removes e, which has expired, if it is still in the table.
func (c *Cache) reclaim(e *entry) {
	now := c.now()
	c.engine.compute(e.key, func(old *entry) *entry {
		if old != e || !e.end(now) {
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
