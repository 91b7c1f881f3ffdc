package memory

import (
	"context"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

var errTooManyLocks = fmt.Errorf("%w: too many locks on absent keys", cache.ErrUnavailable)

// GetAndLock locks the entry under key for ttl and returns a copy of it, with
// the TTL that it had. See cache.Locker, and the package's documentation for
// what becomes of locked entries when room is needed.
func (c *Cache) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
	item, found, handle, err := getAndLock[[]byte](ctx, c, key, ttl, opts, kindBytes)
	if found != nil {
		item.Value = copyOf(found.bytes)
	}
	return item, handle, err
}

// GetObjectAndLock is GetAndLock for an object. See cache.ObjectLocker.
func (c *Cache) GetObjectAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error) {
	item, found, handle, err := getAndLock[any](ctx, c, key, ttl, opts, kindObject)
	if found != nil {
		item.Value = found.object
	}
	return item, handle, err
}

// getAndLock locks the entry of this kind under key, or the key alone: then found
// is nil.
func getAndLock[V any](ctx context.Context, c *Cache, key string, ttl time.Duration, opts cache.LockOptions, want kind) (item cache.Versioned[V], found *entry, handle cache.LockHandle, err error) {
	const op = "get_and_lock"
	if err := c.check(ctx, key); err != nil {
		return item, nil, handle, opError(op, key, err)
	}
	lasts, err := wholeTTL(ttl)
	if err != nil {
		return item, nil, handle, opError(op, key, err)
	}
	taken := newHandle()
	found, item, err = takeLock[V](c, key, taken, lasts, opts.Force, want)
	c.settle()
	if err != nil {
		return cache.Versioned[V]{}, nil, handle, opError(op, key, err)
	}
	if found == nil {
		c.counters.miss()
		c.observe(ctx, cache.EventMiss, "get", 1)
		return item, nil, taken, nil
	}
	c.counters.hit()
	c.observe(ctx, cache.EventHit, "get", 1)
	return item, found, taken, nil
}

// takeLock locks the entry under key and returns it, or if there is none the
// key if it may. The fencing token is made under the key's lock, so it is greater
// than that of the lock before.
func takeLock[V any](c *Cache, key string, handle cache.LockHandle, lasts int64, force bool, want kind) (found *entry, item cache.Versioned[V], err error) {
	var end int64
	c.engine.compute(key, func(old *entry) *entry {
		now := c.now()
		end = now + lasts
		live := standing(old, now)
		if live == nil {
			err = c.lockAbsent(key, handle, now, end, force)
			item = cache.Versioned[V]{Locked: true, Fence: c.fences.next(time.Now())}
			return nil
		}
		switch {
		case live.kind != want:
			err = cache.ErrWrongType
		case live.lockAt(now) != nil:
			err = cache.ErrLocked
		default:
			live.slide(now)
			item = itemOf[V](c, live, now)
			item.Locked, item.Fence = true, c.fences.next(time.Now())
			live.lockUntil(handle, now, end)
			found = live
		}
		return live
	})
	c.janitor.expect(end)
	return found, item, err
}

// lockAbsent locks a key that has no entry. The key's lock is held.
func (c *Cache) lockAbsent(key string, handle cache.LockHandle, now, end int64, force bool) error {
	if _, stands := c.leases.lockAt(key, now); stands {
		return cache.ErrLocked
	}
	if !force {
		return cache.ErrNoEntry
	}
	if c.closed.Load() { // again: Close drops what is there by now
		return cache.ErrClosed
	}
	if !c.leases.lock(key, handle, now, end) {
		return errTooManyLocks
	}
	return nil
}

// holds returns nil if handle is that of the lock on the live entry e under key,
// or of the forced lock if e is nil.
func (c *Cache) holds(e *entry, key string, handle cache.LockHandle, now int64) error {
	var of cache.LockHandle
	if e == nil {
		forced, stands := c.leases.lockAt(key, now)
		if !stands {
			return cache.ErrNoEntry
		}
		of = forced
	} else {
		if e.kind == kindCounter {
			return cache.ErrWrongType
		}
		l := e.lockAt(now)
		if l == nil {
			return cache.ErrNotLocked
		}
		of = l.handle
	}
	if of != handle {
		return cache.ErrInvalidHandle
	}
	return nil
}

// ifHolds allows what holds allows, if it is of this kind.
func (c *Cache) ifHolds(want kind, key string, handle cache.LockHandle) condition {
	return func(old *entry, now int64) error {
		if old != nil && old.kind != want {
			return cache.ErrWrongType
		}
		return c.holds(old, key, handle, now)
	}
}

func checkHandle(h cache.LockHandle) error {
	if h == (cache.LockHandle{}) {
		return cache.ErrInvalidHandle
	}
	return nil
}

// PutAndUnlock replaces the entry under key and ends the lock. See cache.Locker.
func (c *Cache) PutAndUnlock(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return c.replaceBytes(ctx, "put_and_unlock", key, value, opts, checkHandle(handle), c.ifHolds(kindBytes, key, handle))
}

// PutObjectAndUnlock is PutAndUnlock for an object. See cache.ObjectLocker.
func (c *Cache) PutObjectAndUnlock(ctx context.Context, key string, value any, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	return c.replaceObject(ctx, "put_and_unlock", key, value, opts, checkHandle(handle), c.ifHolds(kindObject, key, handle))
}

// Unlock ends the lock. See cache.Locker. A ttl restarts the sliding window.
func (c *Cache) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	if err := c.check(ctx, key); err != nil {
		return opError("unlock", key, err)
	}
	if err := checkHandle(handle); err != nil {
		return opError("unlock", key, err)
	}
	lives := int64(never)
	if ttl != 0 && ttl != cache.NoExpiry {
		var err error
		if lives, err = wholeTTL(ttl); err != nil {
			return opError("unlock", key, err)
		}
	}
	return opError("unlock", key, c.transform(key, func(live *entry, now int64) (*entry, error) {
		if err := c.holds(live, key, handle, now); err != nil {
			return live, err
		}
		if live == nil {
			c.leases.void(key)
			return nil, nil
		}
		if ttl != 0 {
			return c.renew(live, now, lives), nil
		}
		live.unlock(now)
		return standing(live, now), nil
	}))
}

// RemoveLocked removes the entry under key if this lock stands on it. See
// cache.Locker. A forced lock on an absent key ends, and nothing was removed.
func (c *Cache) RemoveLocked(ctx context.Context, key string, handle cache.LockHandle) (removed bool, err error) {
	if err := c.check(ctx, key); err != nil {
		return false, opError("remove_locked", key, err)
	}
	if err := checkHandle(handle); err != nil {
		return false, opError("remove_locked", key, err)
	}
	removed, err = c.removeIf(key, func(old *entry, now int64) error { return c.holds(old, key, handle, now) })
	return removed, opError("remove_locked", key, err)
}

// ResetTTL gives the entry under key ttl to live from now, and restarts its
// sliding window. See cache.Locker.
func (c *Cache) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	if err := c.check(ctx, key); err != nil {
		return opError("reset_ttl", key, err)
	}
	lives, err := wholeTTL(ttl)
	if err != nil {
		return opError("reset_ttl", key, err)
	}
	return opError("reset_ttl", key, c.transform(key, func(live *entry, now int64) (*entry, error) {
		switch {
		case live == nil:
			return nil, cache.ErrNoEntry
		case live.kind == kindCounter:
			return live, cache.ErrWrongType
		}
		next := c.renew(live, now, lives)
		if l := live.lockAt(now); l != nil {
			next.lock.Store(l)
			next.reclaim.Store(max(next.reclaim.Load(), l.end))
		}
		return next, nil
	}))
}

// transform replaces the live entry under key, or nil, by what change returns,
// in one step. Its value stays, so no load is ended.
func (c *Cache) transform(key string, change func(live *entry, now int64) (*entry, error)) (err error) {
	var next *entry
	c.engine.tell(c.now())
	c.engine.compute(key, func(old *entry) *entry {
		now := c.now()
		next, err = change(standing(old, now), now)
		return next
	})
	if next != nil {
		c.janitor.expect(next.reclaim.Load())
	}
	c.settle()
	return err
}

// renew returns what takes the place of e, which is in the table, to live for
// ttl from now. The key's lock is held.
func (c *Cache) renew(e *entry, now, ttl int64) *entry {
	next := e.renewed(now, ttl)
	c.hot.leave(e)                                      // before its successor can be seen
	c.charge(next, c.limits.Load().charge(next.weight)) // a Resize may have missed e
	return next
}

// wholeTTL checks a ttl that must be positive and returns it as EntryOptions
// take it, in nanoseconds.
func wholeTTL(ttl time.Duration) (int64, error) {
	if ttl <= 0 {
		return 0, &cache.OptionError{Option: "ttl", Value: ttl, Reason: "must be positive", Err: cache.ErrInvalidTTL}
	}
	_, life, err := cache.EntryOptions{TTL: ttl}.Resolve(cache.EntryOptions{}, time.Time{})
	return int64(life.TTL), err
}
