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
		item.Value = copyOf(found.Value.text())
	}
	return item, handle, err
}

// GetObjectAndLock is GetAndLock for an object. See cache.ObjectLocker.
func (c *Cache) GetObjectAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.Versioned[any], cache.LockHandle, error) {
	item, found, handle, err := getAndLock[any](ctx, c, key, ttl, opts, kindObject)
	if found != nil {
		item.Value = found.Value.object
	}
	return item, handle, err
}

// getAndLock locks the entry of this kind under key, or the key alone: then found
// is nil.
func getAndLock[V any](ctx context.Context, c *Cache, key string, ttl time.Duration, opts cache.LockOptions, want kind) (item cache.Versioned[V], found *node, handle cache.LockHandle, err error) {
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
		c.engine.Miss()
		c.observe(ctx, cache.EventMiss, "get", 1)
		return item, nil, taken, nil
	}
	c.engine.Hit()
	c.observe(ctx, cache.EventHit, "get", 1)
	return item, found, taken, nil
}

// takeLock locks the entry under key and returns it, or if there is none the
// key if it may. The fencing token is made under the key's lock, so it is greater
// than that of the lock before.
func takeLock[V any](c *Cache, key string, handle cache.LockHandle, lasts int64, force bool, want kind) (found *node, item cache.Versioned[V], err error) {
	var end int64
	c.alter(key, func(old *node) *node {
		now := c.now()
		end = now + lasts
		live := standing(old, now)
		if live == nil {
			err = c.lockAbsent(key, handle, now, end, force)
			item = cache.Versioned[V]{Locked: true, Fence: c.fences.next(time.Now())}
			return nil
		}
		switch {
		case live.Value.kind() != want:
			err = cache.ErrWrongType
		case live.Value.lockAt(now) != nil:
			err = cache.ErrLocked
		default:
			slide(live, now)
			item = itemOf[V](c, live, now)
			item.Locked, item.Fence = true, c.fences.next(time.Now())
			lockUntil(live, handle, now, end)
			found = live
		}
		return live
	})
	if found == nil && err == nil {
		c.sweeper.expect(end)
	}
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

// holds returns nil if handle is that of the lock on the live node n under key,
// or of the forced lock if n is nil.
func (c *Cache) holds(n *node, key string, handle cache.LockHandle, now int64) error {
	var of cache.LockHandle
	if n == nil {
		forced, stands := c.leases.lockAt(key, now)
		if !stands {
			return cache.ErrNoEntry
		}
		of = forced
	} else {
		if n.Value.kind() == kindCounter {
			return cache.ErrWrongType
		}
		l := n.Value.lockAt(now)
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
	return func(old *node, now int64) error {
		if old != nil && old.Value.kind() != want {
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
	return opError("unlock", key, c.transform(key, func(live *node, now int64) (*node, error) {
		if err := c.holds(live, key, handle, now); err != nil {
			return live, err
		}
		if live == nil {
			c.leases.void(key)
			return nil, nil
		}
		if ttl != 0 {
			return renewed(live, now, lives), nil
		}
		live.Value.unlock()
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
	removed, err = c.removeIf(key, func(old *node, now int64) error { return c.holds(old, key, handle, now) })
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
	return opError("reset_ttl", key, c.transform(key, func(live *node, now int64) (*node, error) {
		switch {
		case live == nil:
			return nil, cache.ErrNoEntry
		case live.Value.kind() == kindCounter:
			return live, cache.ErrWrongType
		}
		next := renewed(live, now, lives)
		if l := live.Value.lockAt(now); l != nil {
			next.Value.setLock(l)
		}
		return next, nil
	}))
}

// transform replaces the live entry under key, or nil, by what change returns,
// in one step. Its value stays, so no load is ended.
func (c *Cache) transform(key string, change func(live *node, now int64) (*node, error)) (err error) {
	c.alter(key, func(old *node) *node {
		now := c.now()
		var next *node
		next, err = change(standing(old, now), now)
		return next
	})
	c.settle()
	return err
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
