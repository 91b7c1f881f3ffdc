package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// changers are the capabilities through which a Typed changes entries by version,
// by lock or by order; nil where the cache has none. A cache with Objects needs
// the object forms, too.
type changers struct {
	versioner       Versioner
	locker          Locker
	ordered         Ordered
	objectVersioner ObjectVersioner
	objectLocker    ObjectLocker
}

func changersOf(c Cache) (ch changers) {
	ch.versioner, _ = As[Versioner](c)
	ch.locker, _ = As[Locker](c)
	ch.ordered, _ = As[Ordered](c)
	ch.objectVersioner, _ = As[ObjectVersioner](c)
	ch.objectLocker, _ = As[ObjectLocker](c)
	return ch
}

func (t *Typed[V]) versioned(ctx context.Context) error {
	return t.can(ctx, "versions", t.changers.versioner != nil && (t.objects == nil || t.changers.objectVersioner != nil))
}

func (t *Typed[V]) lockable(ctx context.Context) error {
	return t.can(ctx, "locks", t.changers.locker != nil && (t.objects == nil || t.changers.objectLocker != nil))
}

// can checks what every call checks first, and whether the cache is able to.
func (t *Typed[V]) can(ctx context.Context, what string, able bool) error {
	if err := t.ready(ctx); err != nil {
		return err
	}
	if !able {
		return fmt.Errorf("larder: the cache has no %s: %w", what, errors.ErrUnsupported)
	}
	return nil
}

// GetItem is Get with the entry's version and what else is known about it. See
// Versioner.
//
// It and all that follows here goes to the cache even where caching is switched
// off (Disabled, SetEnabled): it is about the entry, not about saving a load. A
// cache without Versioner (and ObjectVersioner, if it has Objects) gives
// errors.ErrUnsupported.
//
// A negative entry is an entry: it is ErrNotFound, with its item, and one that
// cannot be decoded, or has expired (see Freshness.StaleIfError), is a miss with
// its item. The item has no value then, but a
// version by which CompareAndSet replaces it; Add is ErrExists.
func (t *Typed[V]) GetItem(ctx context.Context, key string) (item Versioned[V], found bool, err error) {
	item, at, err := t.item(ctx, key)
	if at == atNegative {
		return item, false, ErrNotFound
	}
	return item, at == atValue, err
}

// GetIfNewer is GetItem if the entry's version is another than have, with
// results as Versioner.GetIfNewer: then no value is decoded.
func (t *Typed[V]) GetIfNewer(ctx context.Context, key string, have Version) (item Versioned[V], newer, found bool, err error) {
	if t.objects != nil {
		item, found, err = t.GetItem(ctx, key)
		if found && item.Version == have {
			return retyped[V](item), false, true, nil
		}
		return item, found, found, err
	}
	if err := t.versioned(ctx); err != nil {
		return item, false, false, err
	}
	raw, newer, found, err := t.changers.versioner.GetIfNewer(ctx, key, have)
	if err != nil || !newer {
		return retyped[V](raw), false, found, err
	}
	item, at := t.decodeItem(ctx, raw)
	if at == atNegative {
		return item, false, false, ErrNotFound
	}
	return item, at == atValue, at == atValue, nil
}

// item reads an entry and tells what it is. Whatever is there has a version.
func (t *Typed[V]) item(ctx context.Context, key string) (Versioned[V], found, error) {
	if err := t.versioned(ctx); err != nil {
		return Versioned[V]{}, atNothing, err
	}
	if t.objects != nil {
		raw, ok, err := t.changers.objectVersioner.GetObjectItem(ctx, key)
		if !ok || err != nil {
			return Versioned[V]{}, atNothing, err
		}
		item, at := t.heldItem(ctx, raw)
		return item, at, nil
	}
	raw, ok, err := t.changers.versioner.GetItem(ctx, key)
	if !ok || err != nil {
		return Versioned[V]{}, atNothing, err
	}
	item, at := t.decodeItem(ctx, raw)
	return item, at, nil
}

func (t *Typed[V]) decodeItem(ctx context.Context, raw VersionedItem) (item Versioned[V], at found) {
	value, _, s := t.decode(ctx, raw.Value)
	return seen(raw, value, s)
}

// seen is an item with its value, if it is one that may be served.
func seen[V, W any](raw Versioned[W], value V, s sight) (item Versioned[V], at found) {
	item = retyped[V](raw)
	if !s.live() {
		return item, s.at
	}
	item.Value = value
	return item, atValue
}

// heldItem is decodeItem for what an Objects cache holds; see lookup.
func (t *Typed[V]) heldItem(ctx context.Context, raw Versioned[any]) (item Versioned[V], at found) {
	value, _, s := t.unhold(ctx, raw.Value)
	return seen(raw, value, s)
}

// retyped is an item without its value.
func retyped[V, W any](item Versioned[W]) Versioned[V] {
	return Versioned[V]{Version: item.Version, TTL: item.TTL, Locked: item.Locked, Order: item.Order, Fence: item.Fence}
}

// CompareAndSet replaces the entry if its version is have, with results as
// Versioner.CompareAndSet. See GetItem for what it needs; options and encoding
// are as in Set.
func (t *Typed[V]) CompareAndSet(ctx context.Context, key string, value V, have Version, opts EntryOptions) (Version, error) {
	return t.change(key, value, opts, t.versioned(ctx),
		func(data []byte, o EntryOptions) (Version, error) {
			return t.changers.versioner.CompareAndSet(ctx, key, data, have, o)
		},
		func(held any, o EntryOptions) (Version, error) {
			return t.changers.objectVersioner.CompareAndSetObject(ctx, key, held, have, o)
		})
}

// Add stores the entry if there is none, with results as Versioner.Add. See
// GetItem for what it needs; options and encoding are as in Set.
func (t *Typed[V]) Add(ctx context.Context, key string, value V, opts EntryOptions) (Version, error) {
	return t.change(key, value, opts, t.versioned(ctx),
		func(data []byte, o EntryOptions) (Version, error) {
			return t.changers.versioner.Add(ctx, key, data, o)
		},
		func(held any, o EntryOptions) (Version, error) {
			return t.changers.objectVersioner.AddObject(ctx, key, held, o)
		})
}

// RemoveVersion removes the entry if its version is have, with results as
// Versioner.RemoveVersion.
func (t *Typed[V]) RemoveVersion(ctx context.Context, key string, have Version) (removed bool, err error) {
	if err := t.versioned(ctx); err != nil {
		return false, err
	}
	err = t.write(key, func() error {
		removed, err = t.changers.versioner.RemoveVersion(ctx, key, have)
		return err
	})
	return removed, err
}

// SetIfNewer stores value unless the entry is of this order or a later one, with
// results as Ordered.SetIfNewer. A cache without Ordered (or ObjectVersioner, if
// it has Objects) gives errors.ErrUnsupported. Options and encoding are as in
// Set.
func (t *Typed[V]) SetIfNewer(ctx context.Context, key string, value V, order uint64, opts EntryOptions) error {
	able := t.changers.ordered != nil
	if t.objects != nil {
		able = t.changers.objectVersioner != nil
	}
	_, err := t.change(key, value, opts, t.can(ctx, "order", able),
		func(data []byte, o EntryOptions) (Version, error) {
			return Version{}, t.changers.ordered.SetIfNewer(ctx, key, data, order, o)
		},
		func(held any, o EntryOptions) (Version, error) {
			return Version{}, t.changers.objectVersioner.SetObjectIfNewer(ctx, key, held, order, o)
		})
	return err
}

// change stores value in one of two ways, unless refused says otherwise.
func (t *Typed[V]) change(key string, value V, opts EntryOptions, refused error,
	asBytes func([]byte, EntryOptions) (Version, error), asObject func(any, EntryOptions) (Version, error)) (version Version, err error) {
	if refused != nil {
		return Version{}, refused
	}
	o := &object[V]{value: value}
	opts = opts.Inherit(t.opts.Defaults)
	if err := t.ageing(o, &opts, Freshness{}, 0, ""); err != nil {
		return Version{}, err
	}
	if t.objects != nil {
		err = t.write(key, func() error {
			version, err = asObject(t.held(o), opts)
			return err
		})
		return version, err
	}
	data, err := t.encode(o)
	if err != nil {
		return Version{}, &OpError{Op: "encode", Key: key, Err: err}
	}
	err = t.write(key, func() error {
		version, err = asBytes(data, opts)
		return err
	})
	return version, err
}

// GetAndLock locks the entry for ttl and returns it, with results as
// Locker.GetAndLock. A cache without Locker (and ObjectLocker, if it has Objects)
// gives errors.ErrUnsupported.
//
// A negative entry is ErrNotFound and one that cannot be decoded ErrNoEntry; it
// takes a second round trip to unlock them again. With Force they are locked, and
// the item is as if there were no entry: without a version.
func (t *Typed[V]) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts LockOptions) (Versioned[V], LockHandle, error) {
	item, at, handle, err := t.lock(ctx, key, ttl, opts)
	if err != nil || at == atValue {
		return item, handle, err
	}
	if opts.Force {
		return Versioned[V]{Locked: true, Fence: item.Fence}, handle, nil
	}
	_ = t.giveBack(ctx, key, handle) // else it ends by itself
	if at == atNegative {
		return Versioned[V]{}, LockHandle{}, ErrNotFound
	}
	return Versioned[V]{}, LockHandle{}, &OpError{Op: "get_and_lock", Key: key, Err: ErrNoEntry}
}

// lock locks the entry, or the absent key, and tells what it is.
func (t *Typed[V]) lock(ctx context.Context, key string, ttl time.Duration, opts LockOptions) (item Versioned[V], at found, handle LockHandle, err error) {
	if err := t.lockable(ctx); err != nil {
		return item, atNothing, handle, err
	}
	if t.objects != nil {
		raw, handle, err := t.changers.objectLocker.GetObjectAndLock(ctx, key, ttl, opts)
		if err != nil || raw.Version == (Version{}) {
			return retyped[V](raw), atNothing, handle, err
		}
		item, at = t.heldItem(ctx, raw)
		return item, at, handle, nil
	}
	raw, handle, err := t.changers.locker.GetAndLock(ctx, key, ttl, opts)
	if err != nil || raw.Version == (Version{}) {
		return retyped[V](raw), atNothing, handle, err
	}
	item, at = t.decodeItem(ctx, raw)
	return item, at, handle, nil
}

// giveBackTimeout bounds how long a lock is given back for.
const giveBackTimeout = time.Second

// giveBack ends a lock that is of no use any more, even if ctx has ended. A lock
// that cannot be given back ends by itself.
func (t *Typed[V]) giveBack(ctx context.Context, key string, handle LockHandle) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTimeout)
	defer cancel()
	return t.changers.locker.Unlock(ctx, key, handle, 0)
}

// PutAndUnlock replaces the entry and ends the lock, with results as
// Locker.PutAndUnlock. Options and encoding are as in Set; a value that cannot be
// encoded leaves the lock as it is.
func (t *Typed[V]) PutAndUnlock(ctx context.Context, key string, value V, handle LockHandle, opts EntryOptions) (Version, error) {
	return t.change(key, value, opts, t.lockable(ctx),
		func(data []byte, o EntryOptions) (Version, error) {
			return t.changers.locker.PutAndUnlock(ctx, key, data, handle, o)
		},
		func(held any, o EntryOptions) (Version, error) {
			return t.changers.objectLocker.PutObjectAndUnlock(ctx, key, held, handle, o)
		})
}

// Unlock ends the lock, with results as Locker.Unlock.
func (t *Typed[V]) Unlock(ctx context.Context, key string, handle LockHandle, ttl time.Duration) error {
	if err := t.lockable(ctx); err != nil {
		return err
	}
	return t.changers.locker.Unlock(ctx, key, handle, ttl)
}

// RemoveLocked removes the entry if this lock stands on it, with results as
// Locker.RemoveLocked.
func (t *Typed[V]) RemoveLocked(ctx context.Context, key string, handle LockHandle) (removed bool, err error) {
	if err := t.lockable(ctx); err != nil {
		return false, err
	}
	err = t.write(key, func() error {
		removed, err = t.changers.locker.RemoveLocked(ctx, key, handle)
		return err
	})
	return removed, err
}

// ResetTTL gives the entry ttl to live from now, with results as Locker.ResetTTL.
func (t *Typed[V]) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	if err := t.lockable(ctx); err != nil {
		return err
	}
	return t.changers.locker.ResetTTL(ctx, key, ttl)
}
