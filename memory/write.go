package memory

import (
	"context"
	"math"
	"time"

	"github.com/larder-go/larder/cache"
)

// Set stores a copy of value under key. See cache.Cache. A value too large to
// be held is cache.ErrValueTooLarge, and the entry that was there stays.
func (c *Cache) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	if err := c.check(ctx, key); err != nil {
		return opError("set", key, err)
	}
	return opError("set", key, c.setBytes(key, value, &opts))
}

// SetObject stores value as it is under key. See cache.Objects.
func (c *Cache) SetObject(ctx context.Context, key string, value any, opts cache.EntryOptions) error {
	if err := c.check(ctx, key); err != nil {
		return opError("set", key, err)
	}
	n, now, err := c.prepareObject(key, value, &opts)
	if err == nil {
		err = c.store(n, &opts, now)
	}
	return opError("set", key, err)
}

// SetMany stores copies of the items' values. See cache.Batcher.
func (c *Cache) SetMany(ctx context.Context, items []cache.Item) error {
	if err := c.checkContext(ctx); err != nil {
		return err
	}
	var failed batch
	for i, item := range items {
		err := cache.CheckKey(item.Key)
		if err == nil {
			err = c.setBytes(item.Key, item.Value, &item.Options)
		}
		failed.note(i, len(items), opError("set", item.Key, err))
	}
	return failed.err()
}

// Remove deletes the entry under key. See cache.Cache.
func (c *Cache) Remove(ctx context.Context, key string) error {
	if err := c.check(ctx, key); err != nil {
		return opError("remove", key, err)
	}
	c.remove(key)
	return nil
}

// RemoveMany deletes the entries under keys. See cache.Batcher.
func (c *Cache) RemoveMany(ctx context.Context, keys []string) error {
	if err := c.checkContext(ctx); err != nil {
		return err
	}
	var failed batch
	for i, key := range keys {
		err := cache.CheckKey(key)
		if err == nil {
			c.remove(key)
		}
		failed.note(i, len(keys), opError("remove", key, err))
	}
	return failed.err()
}

// Clear removes every entry, pinned ones too. What others store while it runs
// may stay. Write marks stand, as for Remove. See cache.Clearer.
//
// Leases are voided first, so that no load from before can fill a key that was
// already passed, and fills that have spent theirs are waited for; and once
// more at the end, for loads that began meanwhile.
func (c *Cache) Clear(ctx context.Context) error {
	if err := c.checkContext(ctx); err != nil {
		return err
	}
	c.coordinator.InvalidateAll()
	c.leases.invalidateAll(c.now())
	c.fills.Lock()
	c.fills.Unlock() //lint:ignore SA2001 a barrier: who had spent a lease has stored by now
	c.engine.Clear()
	c.leases.invalidateAll(c.now())
	c.coordinator.InvalidateAll()
	c.settle()
	return nil
}

// Increment adds delta to the counter under key. See cache.Counter.
func (c *Cache) Increment(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (int64, error) {
	if err := c.check(ctx, key); err != nil {
		return 0, opError("increment", key, err)
	}
	d := draft{object: new(number)}
	now, err := c.prepare(&d, &opts)
	if err != nil {
		return 0, opError("increment", key, err)
	}
	if d.life.Sliding > 0 {
		return 0, opError("increment", key, &cache.OptionError{Option: "EntryOptions.SlidingExpiration",
			Value: d.life.Sliding, Reason: "is not for counters", Err: cache.ErrInvalidTTL})
	}
	if d.weight == 0 {
		d.weight = entryWeight(key, counterSize)
	}
	if !c.engine.Fits(d.weight) {
		return 0, opError("increment", key, cache.ErrValueTooLarge)
	}
	c.engine.Find(key) // a use, which the change below is not for the engine
	c.coordinator.Invalidate(key)
	n, err := c.addTo(d.node(key, now), delta)
	c.coordinator.Invalidate(key)
	c.settle()
	return n, opError("increment", key, err)
}

// addTo adds delta to the counter in the table, or to fresh, which then goes
// there.
func (c *Cache) addTo(fresh *node, delta int64) (n int64, err error) {
	c.put(fresh, func(old *node, room error) *node {
		counter := old
		if old == nil || expired(old, c.now()) {
			counter = fresh
		}
		if counter.Value.kind() != kindCounter {
			err = cache.ErrWrongType
			return old
		}
		sum, ok := addInt64(counter.Value.number().Load(), delta)
		if !ok {
			err = cache.ErrOverflow
			return old
		}
		if counter == fresh {
			if err = c.admit(fresh, old, c.now(), room); err != nil {
				return old
			}
		}
		c.leases.void(fresh.Key())
		counter.Value.number().Store(sum)
		n = sum
		return counter
	})
	return n, err
}

func addInt64(a, b int64) (sum int64, ok bool) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, false
	}
	return a + b, true
}

func (c *Cache) setBytes(key string, value []byte, opts *cache.EntryOptions) error {
	n, now, err := c.prepareBytes(key, value, opts)
	if err != nil {
		return err
	}
	return c.store(n, opts, now)
}

// prepareBytes returns a node that holds a copy of value, and the time it was
// made at.
func (c *Cache) prepareBytes(key string, value []byte, opts *cache.EntryOptions) (n *node, now int64, err error) {
	if value == nil {
		return nil, 0, cache.ErrNilValue
	}
	if c.maxValueBytes > 0 && len(value) > c.maxValueBytes {
		return nil, 0, cache.ErrValueTooLarge
	}
	var d draft
	if now, err = c.prepare(&d, opts); err != nil {
		return nil, 0, err
	}
	if d.weight == 0 {
		d.weight = entryWeight(key, int64(len(value)))
	}
	if !c.engine.Fits(d.weight) {
		return nil, 0, cache.ErrValueTooLarge
	}
	d.object = newText(value)
	return d.node(key, now), now, nil
}

// prepareObject returns a node that holds value, and the time it was made at.
func (c *Cache) prepareObject(key string, value any, opts *cache.EntryOptions) (n *node, now int64, err error) {
	if value == nil {
		return nil, 0, cache.ErrNilValue
	}
	d := draft{object: value}
	if now, err = c.prepare(&d, opts); err != nil {
		return nil, 0, err
	}
	size := d.weight
	if size == 0 {
		size = c.objectSize(key, value)
		d.weight = entryWeight(key, size)
	}
	if c.maxValueBytes > 0 && size > int64(c.maxValueBytes) || !c.engine.Fits(d.weight) {
		return nil, 0, cache.ErrValueTooLarge
	}
	return d.node(key, now), now, nil
}

// prepare checks opts and puts what they say in d, whose weight is 0 if they do
// not give one. It returns the time.
func (c *Cache) prepare(d *draft, opts *cache.EntryOptions) (now int64, err error) {
	if _, counter := d.object.(*number); counter && len(opts.Tokens) > 0 {
		return 0, errCounterTokens
	}
	now = c.now()
	var t time.Time // for an absolute expiration only
	if !opts.AbsoluteExpiration.IsZero() || !c.defaults.AbsoluteExpiration.IsZero() {
		t = time.Now()
		now = int64(t.Sub(c.base))
	}
	resolved, life, err := opts.Resolve(c.defaults, t)
	if err != nil {
		return 0, err
	}
	d.life = life
	d.pinned = resolved.Priority == cache.PriorityPinned
	d.weight = min(resolved.Size, maxSize)
	d.last = &c.sliding
	if len(resolved.Tokens) > 0 {
		if d.stamp = c.regions.stamp(resolved.Tokens, opts.Since); d.stamp == nil {
			return 0, cache.ErrRegionExpired
		}
		d.last = &d.stamp.last
	}
	return now, nil
}

var errCounterTokens = &cache.OptionError{Option: "EntryOptions.Tokens", Value: "tokens", Reason: "are not for counters", Err: cache.ErrInvalidConfig}

// store puts n, made at now, in the table, and tells of what has left.
func (c *Cache) store(n *node, opts *cache.EntryOptions, now int64) error {
	err := c.place(n, opts, now)
	c.settle()
	return err
}

// place is store without telling. Without a lease it ends the loads in flight for
// the key; see cache.Coordinator for why twice.
func (c *Cache) place(n *node, opts *cache.EntryOptions, now int64) (err error) {
	key, fill := n.Key(), opts.Lease != cache.Lease{}
	if !fill {
		c.coordinator.Invalidate(key)
	}
	if opts.Mark == (cache.WriteMark{}) {
		err = c.putLeased(n, opts.Lease, now)
	} else {
		err = c.putMarked(n, opts.Mark, now)
	}
	if !fill {
		c.coordinator.Invalidate(key)
	}
	return err
}

// putLeased puts n in the table, with a lease only if that stands.
func (c *Cache) putLeased(n *node, lease cache.Lease, now int64) (err error) {
	key, fill := n.Key(), lease != cache.Lease{}
	if fill {
		c.fills.RLock()
		defer c.fills.RUnlock()
		if r, ok := c.leases.peek(key, c.now()); !ok || r.kind != isLease || r.lease != lease {
			return cache.ErrLeaseLost // for good: no room need be made
		}
	}
	c.put(n, func(old *node, room error) *node {
		if fill && !c.leases.spend(key, lease, c.now()) {
			err = cache.ErrLeaseLost
			return old
		}
		if err = c.admit(n, old, now, room); err != nil {
			return old
		}
		if !fill {
			c.leases.void(key)
		}
		return n
	})
	return err
}

// remove deletes the entry under key and ends the loads in flight for it: its
// lease is voided in the same step.
func (c *Cache) remove(key string) {
	c.coordinator.Invalidate(key)
	c.alter(key, func(*node) *node {
		if c.leases.holds(key) {
			c.leases.invalidate(key, c.now())
		}
		return nil
	})
	c.coordinator.Invalidate(key)
	c.settle()
}

// batch collects what befell the items of one call.
type batch struct{ errs []error }

func (b *batch) note(i, of int, err error) {
	if err == nil {
		return
	}
	if b.errs == nil {
		b.errs = make([]error, of)
	}
	b.errs[i] = err
}

func (b *batch) err() error {
	if b.errs == nil {
		return nil
	}
	return &cache.BatchError{Errs: b.errs}
}

// opError says which operation failed. A context's error and ErrClosed stay
// themselves.
func opError(op, key string, err error) error {
	switch err {
	case nil, cache.ErrClosed, cache.ErrNilContext, context.Canceled, context.DeadlineExceeded:
		return err
	}
	return &cache.OpError{Op: op, Key: key, Err: err}
}
