package memory

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// GetItem returns a copy of the bytes under key and what is known about them.
// See cache.Versioner. The TTL of a locked entry counts to the end of the lock
// if that is later than the deadline.
func (c *Cache) GetItem(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
	e, err := c.read(ctx, "get", key, kindBytes)
	if e == nil {
		return cache.VersionedItem{}, false, err
	}
	item := c.item(e, c.now())
	item.Value = copyOf(e.bytes)
	return item, true, nil
}

// GetIfNewer is GetItem, unless the entry has the version have: then the item
// has no value. Either way it is a read of the entry. See cache.Versioner.
func (c *Cache) GetIfNewer(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	e, err := c.read(ctx, "get", key, kindBytes)
	if e == nil {
		return cache.VersionedItem{}, false, false, err
	}
	item = c.item(e, c.now())
	if item.Version == have {
		return item, false, true, nil
	}
	item.Value = copyOf(e.bytes)
	return item, true, true, nil
}

// item describes e, without its value.
func (c *Cache) item(e *entry, now int64) cache.VersionedItem {
	return cache.VersionedItem{Version: c.version(e), TTL: e.left(now), Locked: e.lockAt(now) != nil, Tokens: e.stamp.list()}
}

// CompareAndSet replaces the entry under key if its version is have. See
// cache.Versioner.
func (c *Cache) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return c.replace(ctx, "compare_and_set", key, value, opts, have != cache.Version{}, cache.ErrInvalidVersion,
		func(old *entry, _ int64) error {
			switch {
			case old == nil:
				return cache.ErrNoEntry
			case old.kind != kindBytes:
				return cache.ErrWrongType
			case c.version(old) != have:
				return &cache.VersionMismatchError{Current: c.version(old)}
			}
			return nil
		})
}

// Add stores a copy of value under key if there is no entry. See
// cache.Versioner. A forced lock on the absent key is no entry: Add drops it,
// as Set does.
func (c *Cache) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	return c.replace(ctx, "add", key, value, opts, true, nil, func(old *entry, _ int64) error {
		switch {
		case old == nil:
			return nil
		case old.kind != kindBytes:
			return cache.ErrWrongType
		}
		return cache.ErrExists
	})
}

// replace checks the input of a call that stores value under key if allow lets
// it, and makes it.
func (c *Cache) replace(ctx context.Context, op, key string, value []byte, opts cache.EntryOptions,
	valid bool, invalid error, allow func(old *entry, now int64) error) (cache.Version, error) {
	if err := c.check(ctx, key); err != nil {
		return cache.Version{}, opError(op, key, err)
	}
	if !valid {
		return cache.Version{}, opError(op, key, invalid)
	}
	e, madeAt, err := c.prepareBytes(key, value, opts)
	if err == nil {
		err = c.storeIf(e, madeAt, allow)
	}
	if err != nil {
		return cache.Version{}, opError(op, key, err)
	}
	return c.version(e), nil
}

// storeIf puts e, made at madeAt, in the table if allow returns nil for what is
// there (nil if nothing live is), in one step. Then it ends the loads in flight
// for its key; see cache.Coordinator for why twice. A call that is refused ends
// none, unless what is there changes just then.
func (c *Cache) storeIf(e *entry, madeAt int64, allow func(old *entry, now int64) error) (err error) {
	if err := c.foresee(e.key, allow); err != nil {
		return err
	}
	c.coordinator.Invalidate(e.key)
	c.engine.compute(e.key, func(old *entry) *entry {
		now := c.now()
		live := standing(old, now)
		if err = allow(live, now); err != nil {
			return live
		}
		if err = c.admit(e, old, madeAt); err != nil {
			return live
		}
		c.leases.void(e.key)
		return e
	})
	c.coordinator.Invalidate(e.key)
	c.janitor.expect(e.reclaim.Load())
	c.settle()
	return err
}

// foresee returns what allow says to what is under key, without a lock, or nil
// if that needs one: a read may be about to save an entry that has expired.
func (c *Cache) foresee(key string, allow func(old *entry, now int64) error) error {
	now := c.now()
	e := c.engine.find(key)
	if e != nil && e.expired(now) {
		return nil
	}
	return allow(e, now)
}

// RemoveVersion removes the entry under key if its version is have. See
// cache.Versioner.
func (c *Cache) RemoveVersion(ctx context.Context, key string, have cache.Version) (removed bool, err error) {
	if err := c.check(ctx, key); err != nil {
		return false, opError("remove_version", key, err)
	}
	if have == (cache.Version{}) {
		return false, opError("remove_version", key, cache.ErrInvalidVersion)
	}
	removed, err = c.removeIf(key, func(old *entry, _ int64) error {
		switch {
		case old == nil:
			return cache.ErrNoEntry
		case old.kind != kindBytes:
			return cache.ErrWrongType
		case c.version(old) != have:
			return cache.ErrVersionMismatch
		}
		return nil
	})
	return removed, opError("remove_version", key, err)
}

// removeIf removes the entry under key, and a forced lock, if allow returns nil
// for what is there, and reports whether it removed an entry. Of what allow
// returns only ErrWrongType is an error.
func (c *Cache) removeIf(key string, allow func(old *entry, now int64) error) (removed bool, err error) {
	if err = c.foresee(key, allow); err == nil {
		c.coordinator.Invalidate(key)
		c.engine.compute(key, func(old *entry) *entry {
			now := c.now()
			live := standing(old, now)
			if err = allow(live, now); err != nil {
				return live
			}
			c.leases.void(key)
			removed = live != nil
			return nil
		})
		c.coordinator.Invalidate(key)
		c.settle()
	}
	if err != cache.ErrWrongType {
		err = nil
	}
	return removed, err
}
