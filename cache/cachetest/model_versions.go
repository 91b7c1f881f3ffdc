package cachetest

import (
	"context"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
)

// GetItem implements cache.Versioner.
func (m *Model) GetItem(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
	item, _, found, err := m.GetIfNewer(ctx, key, cache.Version{})
	return item, found, err
}

// GetIfNewer implements cache.Versioner.
func (m *Model) GetIfNewer(ctx context.Context, key string, have cache.Version) (item cache.VersionedItem, newer, found bool, err error) {
	if err := m.begin(ctx, key); err != nil {
		return cache.VersionedItem{}, false, false, err
	}
	defer m.mu.Unlock()
	e, err := m.kindLocked(key, kindBytes)
	if e == nil {
		return cache.VersionedItem{}, false, false, err
	}
	e.lastRead = time.Now()
	if e.version == have {
		return cache.VersionedItem{}, false, true, nil
	}
	return bytesItem(m.itemLocked(key, e), e), true, true, nil
}

// GetObjectItem implements cache.ObjectVersioner.
func (m *Model) GetObjectItem(ctx context.Context, key string) (cache.Versioned[any], bool, error) {
	if err := m.begin(ctx, key); err != nil {
		return cache.Versioned[any]{}, false, err
	}
	defer m.mu.Unlock()
	e, err := m.kindLocked(key, kindObject)
	if e == nil {
		return cache.Versioned[any]{}, false, err
	}
	e.lastRead = time.Now()
	return m.itemLocked(key, e), true, nil
}

// kindLocked returns the live entry of that kind under key, or nil. Another kind
// of entry is an error.
func (m *Model) kindLocked(key string, kind entryKind) (*modelEntry, error) {
	e := m.findLocked(key)
	if e != nil && e.kind != kind {
		return nil, cache.ErrWrongType
	}
	return e, nil
}

// changeableLocked returns the live entry under key that has a version, or nil. A
// counter has none, which is an error.
func (m *Model) changeableLocked(key string) (*modelEntry, error) {
	e := m.findLocked(key)
	if e != nil && e.kind == kindCounter {
		return nil, cache.ErrWrongType
	}
	return e, nil
}

// bytesItem is the item of a byte value, which gets a copy.
func bytesItem(item cache.Versioned[any], e *modelEntry) cache.VersionedItem {
	out := cache.VersionedItem{Version: item.Version, TTL: item.TTL, Locked: item.Locked, Order: item.Order, Fence: item.Fence, Tokens: item.Tokens}
	if e != nil {
		out.Value = append(make([]byte, 0, len(e.bytes)), e.bytes...)
	}
	return out
}

func (m *Model) itemLocked(key string, e *modelEntry) cache.Versioned[any] {
	item := cache.Versioned[any]{Value: e.object, Version: e.version, TTL: cache.NoExpiry, Order: e.order, Tokens: leastTokens(e.tokens)}
	end := e.deadline
	if e.window > 0 {
		if slides := e.lastRead.Add(e.window); end.IsZero() || slides.Before(end) {
			end = slides
		}
	}
	if m.lockedLocked(key) {
		item.Locked = true
		if until := m.locks[key].until; !end.IsZero() && end.Before(until) {
			end = until
		}
	}
	if !end.IsZero() {
		item.TTL = time.Until(end)
	}
	return item
}

// CompareAndSet implements cache.Versioner.
func (m *Model) CompareAndSet(ctx context.Context, key string, value []byte, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, bytesEntry(value), opts, checkVersion(have), ifVersion(have))
}

// CompareAndSetObject implements cache.ObjectVersioner.
func (m *Model) CompareAndSetObject(ctx context.Context, key string, value any, have cache.Version, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, objectEntry(value), opts, checkVersion(have), ifVersion(have))
}

func ifVersion(have cache.Version) func(*modelEntry) error {
	return func(e *modelEntry) error {
		switch {
		case e == nil:
			return cache.ErrNoEntry
		case e.version != have:
			return &cache.VersionMismatchError{Current: e.version}
		}
		return nil
	}
}

// Add implements cache.Versioner.
func (m *Model) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, bytesEntry(value), opts, nil, m.ifAbsent(key))
}

// AddObject implements cache.ObjectVersioner.
func (m *Model) AddObject(ctx context.Context, key string, value any, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, objectEntry(value), opts, nil, m.ifAbsent(key))
}

func (m *Model) ifAbsent(key string) func(*modelEntry) error {
	return func(e *modelEntry) error {
		switch {
		case e != nil:
			return cache.ErrExists
		case m.markLocked(key) != nil:
			return cache.ErrBeingWritten
		}
		return nil
	}
}

// SetIfNewer implements cache.Ordered.
func (m *Model) SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts cache.EntryOptions) error {
	return m.storeIfNewer(ctx, key, bytesEntry(value), order, opts)
}

// SetObjectIfNewer implements cache.ObjectVersioner.
func (m *Model) SetObjectIfNewer(ctx context.Context, key string, value any, order uint64, opts cache.EntryOptions) error {
	return m.storeIfNewer(ctx, key, objectEntry(value), order, opts)
}

func (m *Model) storeIfNewer(ctx context.Context, key string, e *modelEntry, order uint64, opts cache.EntryOptions) error {
	var bad error
	if order == 0 {
		bad = cache.ErrInvalidVersion
	}
	if e != nil {
		e.order = order
	}
	_, err := m.storeIf(ctx, key, e, opts, bad, func(old *modelEntry) error {
		switch {
		case old == nil && m.markLocked(key) != nil:
			return cache.ErrBeingWritten
		case old == nil || old.order < order:
			return nil
		case old.order == order:
			return errSameOrder
		}
		return &cache.OutdatedError{Current: old.order}
	})
	if err == errSameOrder {
		return nil
	}
	return err
}

var errSameOrder = errors.New("cachetest: the same order")

// bytesEntry returns an entry that holds a copy of value; nil if that is nil.
func bytesEntry(value []byte) *modelEntry {
	if value == nil {
		return nil
	}
	return &modelEntry{kind: kindBytes, bytes: append(make([]byte, 0, len(value)), value...)}
}

func objectEntry(value any) *modelEntry {
	if value == nil {
		return nil
	}
	return &modelEntry{kind: kindObject, object: value}
}

func checkVersion(v cache.Version) error {
	if v == (cache.Version{}) {
		return cache.ErrInvalidVersion
	}
	return nil
}

// storeIf stores e, which is nil for a nil value, if the input is not bad and
// allow, with mu held, says nothing against the entry of that kind that is there.
func (m *Model) storeIf(ctx context.Context, key string, e *modelEntry, opts cache.EntryOptions, bad error, allow func(*modelEntry) error) (cache.Version, error) {
	if e == nil {
		return cache.Version{}, cache.ErrNilValue
	}
	m.coordinator.Invalidate(key)
	defer m.coordinator.Invalidate(key)
	if err := m.begin(ctx, key); err != nil {
		return cache.Version{}, err
	}
	defer m.mu.Unlock()
	if bad != nil {
		return cache.Version{}, bad
	}
	now := time.Now()
	_, life, err := opts.Resolve(m.defaults, now)
	if err != nil {
		return cache.Version{}, err
	}
	if err := m.stampLocked(e, opts); err != nil {
		return cache.Version{}, err
	}
	old, err := m.kindLocked(key, e.kind)
	if err == nil {
		err = allow(old)
	}
	if err != nil {
		return cache.Version{}, err
	}
	m.putLocked(key, *e, life, now)
	m.stats.Sets++
	return m.entries[key].version, nil
}

// RemoveVersion implements cache.Versioner.
func (m *Model) RemoveVersion(ctx context.Context, key string, have cache.Version) (bool, error) {
	return m.removeIf(ctx, key, checkVersion(have), func(e *modelEntry) bool { return e != nil && e.version == have })
}

// removeIf removes what is under key if the input is not bad and allow, with mu
// held, lets it, and reports whether that was an entry.
func (m *Model) removeIf(ctx context.Context, key string, bad error, allow func(*modelEntry) bool) (removed bool, err error) {
	m.coordinator.Invalidate(key)
	defer m.coordinator.Invalidate(key)
	if err := m.begin(ctx, key); err != nil {
		return false, err
	}
	defer m.mu.Unlock()
	if bad != nil {
		return false, bad
	}
	e, err := m.changeableLocked(key)
	if err != nil || !allow(e) {
		return false, err
	}
	m.dropLocked(key)
	return e != nil, nil
}
