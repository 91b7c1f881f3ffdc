package memory

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// GetItem returns a copy of the bytes under key and what is known about them.
// See cache.Versioner. The TTL of a locked entry counts to the end of the lock
// if that is later than the deadline.
func (c *Cache) GetItem(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
	n, err := c.read(ctx, "get", key, kindBytes)
	if n == nil {
		return cache.VersionedItem{}, false, err
	}
	item := itemOf[[]byte](c, n, c.now())
	item.Value = copyOf(n.Value.text())
	return item, true, nil
}

// GetObjectItem returns the object under key and what is known about it. See
// cache.ObjectVersioner.
func (c *Cache) GetObjectItem(ctx context.Context, key string) (cache.Versioned[any], bool, error) {
	n, err := c.read(ctx, "get", key, kindObject)
	if n == nil {
		return cache.Versioned[any]{}, false, err
	}
	item := itemOf[any](c, n, c.now())
	item.Value = n.Value.object
	return item, true, nil
}

// GetIfNewer is GetItem, unless the entry has the version have: then the item
// has no value. Either way it is a read of the entry. See cache.Versioner.
func (c *Cache) GetIfNewer(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	n, err := c.read(ctx, "get", key, kindBytes)
	if n == nil {
		return cache.VersionedItem{}, false, false, err
	}
	item = itemOf[[]byte](c, n, c.now())
	if item.Version == have {
		return item, false, true, nil
	}
	item.Value = copyOf(n.Value.text())
	return item, true, true, nil
}

// itemOf describes n, without its value.
func itemOf[V any](c *Cache, n *node, now int64) cache.Versioned[V] {
	e := &n.Value
	return cache.Versioned[V]{
		Version: c.version(n), TTL: left(n, now), Locked: e.lockAt(now) != nil, Order: e.order(), Tokens: e.stamp().list(),
	}
}

// CompareAndSet replaces the entry under key if its version is have. See
// cache.Versioner.
func (c *Cache) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return c.replaceBytes(ctx, "compare_and_set", key, value, opts, checkVersion(have), c.ifVersion(kindBytes, have))
}

// CompareAndSetObject is CompareAndSet for an object. See cache.ObjectVersioner.
func (c *Cache) CompareAndSetObject(ctx context.Context, key string, value any, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return c.replaceObject(ctx, "compare_and_set", key, value, opts, checkVersion(have), c.ifVersion(kindObject, have))
}

// Add stores a copy of value under key if there is no entry. See
// cache.Versioner. A forced lock on the absent key is no entry: Add drops it,
// as Set does. A write mark refuses it with cache.ErrBeingWritten.
func (c *Cache) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	return c.replaceBytes(ctx, "add", key, value, opts, nil, c.ifAbsent(key, kindBytes))
}

// AddObject is Add for an object. See cache.ObjectVersioner.
func (c *Cache) AddObject(ctx context.Context, key string, value any, opts cache.EntryOptions) (cache.Version, error) {
	return c.replaceObject(ctx, "add", key, value, opts, nil, c.ifAbsent(key, kindObject))
}

// RemoveVersion removes the entry under key if its version is have. See
// cache.Versioner.
func (c *Cache) RemoveVersion(ctx context.Context, key string, have cache.Version) (removed bool, err error) {
	if err := c.check(ctx, key); err != nil {
		return false, opError("remove_version", key, err)
	}
	if err := checkVersion(have); err != nil {
		return false, opError("remove_version", key, err)
	}
	removed, err = c.removeIf(key, func(old *node, now int64) error {
		kind := kindBytes
		if old != nil && old.Value.kind() == kindObject {
			kind = kindObject
		}
		return c.ifVersion(kind, have)(old, now)
	})
	return removed, opError("remove_version", key, err)
}

// A condition says whether what is under a key (nil if nothing live is) may be
// changed, and else why not.
type condition func(old *node, now int64) error

// ifVersion allows an entry of this kind and version.
func (c *Cache) ifVersion(want kind, have cache.Version) condition {
	return func(old *node, _ int64) error {
		switch {
		case old == nil:
			return cache.ErrNoEntry
		case old.Value.kind() != want:
			return cache.ErrWrongType
		case c.version(old) != have:
			return &cache.VersionMismatchError{Current: c.version(old)}
		}
		return nil
	}
}

// ifAbsent allows no entry at all and no write mark; an entry of another kind is
// refused as such.
func (c *Cache) ifAbsent(key string, want kind) condition {
	return func(old *node, now int64) error {
		switch {
		case old == nil && c.isMarked(key, now):
			return cache.ErrBeingWritten
		case old == nil:
			return nil
		case old.Value.kind() != want:
			return cache.ErrWrongType
		}
		return cache.ErrExists
	}
}

func checkVersion(v cache.Version) error {
	if v == (cache.Version{}) {
		return cache.ErrInvalidVersion
	}
	return nil
}

// replaceBytes stores a copy of value under key if bad is nil and allow lets it.
func (c *Cache) replaceBytes(ctx context.Context, op, key string, value []byte, opts cache.EntryOptions, bad error, allow condition) (cache.Version, error) {
	return c.replace(ctx, op, key, bad, allow, func() (*node, int64, error) { return c.prepareBytes(key, value, &opts) })
}

// replaceObject is replaceBytes for an object.
func (c *Cache) replaceObject(ctx context.Context, op, key string, value any, opts cache.EntryOptions, bad error, allow condition) (cache.Version, error) {
	return c.replace(ctx, op, key, bad, allow, func() (*node, int64, error) { return c.prepareObject(key, value, &opts) })
}

// replace checks the input of a call that stores what prepare makes under key if
// allow lets it, and makes it.
func (c *Cache) replace(ctx context.Context, op, key string, bad error, allow condition, prepare func() (*node, int64, error)) (cache.Version, error) {
	if err := c.check(ctx, key); err != nil {
		return cache.Version{}, opError(op, key, err)
	}
	if bad != nil {
		return cache.Version{}, opError(op, key, bad)
	}
	n, madeAt, err := prepare()
	if err == nil {
		err = c.storeIf(n, madeAt, allow)
	}
	if err != nil {
		return cache.Version{}, opError(op, key, err)
	}
	return c.version(n), nil
}

// storeIf puts n, made at madeAt, in the table if allow returns nil for what is
// there, in one step. Then it ends the loads in flight for its key; see
// cache.Coordinator for why twice. A call that is refused ends none, unless what
// is there changes just then.
func (c *Cache) storeIf(n *node, madeAt int64, allow condition) (err error) {
	key := n.Key()
	if err := c.foresee(key, allow); err != nil {
		return err
	}
	c.coordinator.Invalidate(key)
	c.put(n, func(old *node, room error) *node {
		now := c.now()
		live := standing(old, now)
		if err = allow(live, now); err != nil {
			return live
		}
		if err = c.admit(n, old, madeAt, room); err != nil {
			return live
		}
		c.leases.void(key)
		return n
	})
	c.coordinator.Invalidate(key)
	c.settle()
	return err
}

// foresee returns what allow says to what is under key, or nil if that may
// change: a read may be about to save an entry that has expired. Where there is
// no entry it takes the key's lock: a write that drops a forced lock does so just
// before its entry can be seen, and between the two the key seems to hold nothing.
func (c *Cache) foresee(key string, allow condition) (err error) {
	now := c.now()
	if n := c.engine.Find(key); n != nil {
		if expired(n, now) {
			return nil
		}
		return allow(n, now)
	}
	c.alter(key, func(old *node) *node {
		if old == nil || !expired(old, now) {
			err = allow(old, now)
		}
		return old
	})
	return err
}

// removeIf removes the entry under key, and a forced lock, if allow returns nil
// for what is there, and reports whether it removed an entry. Of what allow
// returns only ErrWrongType is an error.
func (c *Cache) removeIf(key string, allow condition) (removed bool, err error) {
	if err = c.foresee(key, allow); err == nil {
		c.coordinator.Invalidate(key)
		c.alter(key, func(old *node) *node {
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
