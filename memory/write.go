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
	return opError("set", key, c.setBytes(key, value, opts))
}

// SetObject stores value as it is under key. See cache.Objects.
func (c *Cache) SetObject(ctx context.Context, key string, value any, opts cache.EntryOptions) error {
	if err := c.check(ctx, key); err != nil {
		return opError("set", key, err)
	}
	e, now, err := c.prepareObject(key, value, opts)
	if err == nil {
		err = c.store(e, opts, now)
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
			err = c.setBytes(item.Key, item.Value, item.Options)
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
	c.engine.clear()
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
	fresh, _, err := c.prepare(key, kindCounter, opts)
	if err != nil {
		return 0, opError("increment", key, err)
	}
	if fresh.window > 0 {
		return 0, opError("increment", key, &cache.OptionError{Option: "EntryOptions.SlidingExpiration",
			Value: time.Duration(fresh.window), Reason: "is not for counters", Err: cache.ErrInvalidTTL})
	}
	if fresh.weight == 0 {
		fresh.weight = entryWeight(key, counterSize)
	}
	if !c.limits.Load().fits(fresh.weight) {
		return 0, opError("increment", key, cache.ErrValueTooLarge)
	}
	c.engine.find(key) // a use, which the change below is not for the engine
	c.coordinator.Invalidate(key)
	n, err := c.addTo(fresh, delta)
	c.coordinator.Invalidate(key)
	c.settle()
	return n, opError("increment", key, err)
}

// addTo adds delta to the counter in the table, or to fresh, which then goes
// there.
func (c *Cache) addTo(fresh *entry, delta int64) (n int64, err error) {
	c.engine.compute(fresh.key, func(old *entry) *entry {
		counter := old
		if old == nil || old.expired(c.now()) {
			counter = fresh
		}
		if counter.kind != kindCounter {
			err = cache.ErrWrongType
			return old
		}
		sum, ok := addInt64(counter.number().Load(), delta)
		if !ok {
			err = cache.ErrOverflow
			return old
		}
		if counter == fresh {
			if err = c.admit(fresh, old, c.now()); err != nil {
				return old
			}
		}
		c.leases.void(fresh.key)
		counter.number().Store(sum)
		n = sum
		return counter
	})
	c.janitor.expect(fresh.reclaim.Load())
	return n, err
}

func addInt64(a, b int64) (sum int64, ok bool) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return 0, false
	}
	return a + b, true
}

func (c *Cache) setBytes(key string, value []byte, opts cache.EntryOptions) error {
	e, now, err := c.prepareBytes(key, value, opts)
	if err != nil {
		return err
	}
	return c.store(e, opts, now)
}

// prepareBytes returns an entry that holds a copy of value, and the time it was
// made at.
func (c *Cache) prepareBytes(key string, value []byte, opts cache.EntryOptions) (e *entry, now int64, err error) {
	if value == nil {
		return nil, 0, cache.ErrNilValue
	}
	if c.maxValueBytes > 0 && len(value) > c.maxValueBytes {
		return nil, 0, cache.ErrValueTooLarge
	}
	if e, now, err = c.prepare(key, kindBytes, opts); err != nil {
		return nil, 0, err
	}
	if e.weight == 0 {
		e.weight = entryWeight(key, int64(len(value)))
	}
	if !c.limits.Load().fits(e.weight) {
		return nil, 0, cache.ErrValueTooLarge
	}
	e.bytes = string(value)
	return e, now, nil
}

// prepareObject returns an entry that holds value, and the time it was made at.
func (c *Cache) prepareObject(key string, value any, opts cache.EntryOptions) (e *entry, now int64, err error) {
	if value == nil {
		return nil, 0, cache.ErrNilValue
	}
	if e, now, err = c.prepare(key, kindObject, opts); err != nil {
		return nil, 0, err
	}
	e.object = value
	size := e.weight
	if size == 0 {
		size = c.objectSize(key, value)
		e.weight = entryWeight(key, size)
	}
	if c.maxValueBytes > 0 && size > int64(c.maxValueBytes) || !c.limits.Load().fits(e.weight) {
		return nil, 0, cache.ErrValueTooLarge
	}
	return e, now, nil
}

// prepare checks opts and returns an entry without a value, its weight 0 if
// opts give none, and the time it was made at.
func (c *Cache) prepare(key string, kind kind, opts cache.EntryOptions) (e *entry, now int64, err error) {
	if kind == kindCounter && len(opts.Tokens) > 0 {
		return nil, 0, errCounterTokens
	}
	t := time.Now()
	opts, life, err := opts.Resolve(c.defaults, t)
	if err != nil {
		return nil, 0, err
	}
	now = int64(t.Sub(c.base))
	c.engine.tell(now)
	e = newEntry(key, kind, now, life, opts.Priority == cache.PriorityPinned)
	e.weight = min(opts.Size, maxSize)
	if len(opts.Tokens) > 0 {
		if e.stamp = c.regions.stamp(opts.Tokens, opts.Since); e.stamp == nil {
			return nil, 0, cache.ErrRegionExpired
		}
	}
	return e, now, nil
}

var errCounterTokens = &cache.OptionError{Option: "EntryOptions.Tokens", Value: "tokens", Reason: "are not for counters", Err: cache.ErrInvalidConfig}

// store puts e, made at now, in the table. Without a lease it ends the loads in
// flight for its key; see cache.Coordinator for why twice.
func (c *Cache) store(e *entry, opts cache.EntryOptions, now int64) (err error) {
	fill := opts.Lease != cache.Lease{}
	if !c.limits.Load().fits(e.weight) {
		return cache.ErrValueTooLarge
	}
	if !fill {
		c.coordinator.Invalidate(e.key)
	}
	if opts.Mark == (cache.WriteMark{}) {
		err = c.put(e, opts.Lease, now)
	} else {
		err = c.putMarked(e, opts.Mark, now)
	}
	if !fill {
		c.coordinator.Invalidate(e.key)
	}
	c.janitor.expect(e.reclaim.Load())
	c.settle()
	return err
}

// put puts e in the table, with a lease only if that stands.
func (c *Cache) put(e *entry, lease cache.Lease, now int64) (err error) {
	fill := lease != cache.Lease{}
	if fill {
		c.fills.RLock()
		defer c.fills.RUnlock()
	}
	c.engine.compute(e.key, func(old *entry) *entry {
		if fill && !c.leases.spend(e.key, lease, c.now()) {
			err = cache.ErrLeaseLost
			return old
		}
		if err = c.admit(e, old, now); err != nil {
			return old
		}
		if !fill {
			c.leases.void(e.key)
		}
		return e
	})
	return err
}

// admit accounts for e, which is about to take the place of old (which may be
// nil) under the lock of their key, or returns why it cannot.
func (c *Cache) admit(e, old *entry, now int64) error {
	if c.closed.Load() { // again: Close drops what is in the table by now
		return cache.ErrClosed
	}
	l := c.limits.Load()
	charge := l.charge(e.weight)
	if e.pinned {
		var freed int64
		if old != nil && old.pinned {
			freed = old.account.charge()
		}
		if !c.pinned.reserve(charge, freed, l.capacity) {
			return errPinnedFull
		}
	}
	e.account.setCharge(charge)
	if old != nil {
		c.forget(old, old.causeAt(now, CauseReplaced))
	}
	c.counters.entries.Add(1)
	c.counters.bytes.Add(e.weight)
	c.counters.used.Add(charge)
	e.write = c.counters.sets.Add(1)
	return nil
}

// remove deletes the entry under key and ends the loads in flight for it: its
// lease is voided in the same step.
func (c *Cache) remove(key string) {
	c.coordinator.Invalidate(key)
	c.engine.compute(key, func(*entry) *entry {
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
