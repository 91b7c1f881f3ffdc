package cachetest

import (
	"context"
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
	e, err := m.bytesLocked(key)
	if e == nil {
		return cache.VersionedItem{}, false, false, err
	}
	e.lastRead = time.Now()
	if e.version == have {
		return cache.VersionedItem{}, false, true, nil
	}
	return m.itemLocked(key, e), true, true, nil
}

// bytesLocked returns the live value under key, or nil. Another kind of entry
// is an error.
func (m *Model) bytesLocked(key string) (*modelEntry, error) {
	e := m.findLocked(key)
	if e != nil && e.kind != kindBytes {
		return nil, cache.ErrWrongType
	}
	return e, nil
}

func (m *Model) itemLocked(key string, e *modelEntry) cache.VersionedItem {
	item := cache.VersionedItem{
		Value:   append(make([]byte, 0, len(e.bytes)), e.bytes...),
		Version: e.version,
		TTL:     cache.NoExpiry,
		Tokens:  leastTokens(e.tokens),
	}
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
	return m.storeIf(ctx, key, value, opts, checkVersion(have), func(e *modelEntry) error {
		switch {
		case e == nil:
			return cache.ErrNoEntry
		case e.version != have:
			return &cache.VersionMismatchError{Current: e.version}
		}
		return nil
	})
}

// Add implements cache.Versioner.
func (m *Model) Add(ctx context.Context, key string, value []byte, opts cache.EntryOptions) (cache.Version, error) {
	return m.storeIf(ctx, key, value, opts, nil, func(e *modelEntry) error {
		if e != nil {
			return cache.ErrExists
		}
		return nil
	})
}

func checkVersion(v cache.Version) error {
	if v == (cache.Version{}) {
		return cache.ErrInvalidVersion
	}
	return nil
}

// storeIf stores value if the input is not bad and allow, with mu held, says
// nothing against the value that is there.
func (m *Model) storeIf(ctx context.Context, key string, value []byte, opts cache.EntryOptions, bad error, allow func(*modelEntry) error) (cache.Version, error) {
	if value == nil {
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
	e := modelEntry{kind: kindBytes, bytes: append(make([]byte, 0, len(value)), value...)}
	if err := m.stampLocked(&e, opts); err != nil {
		return cache.Version{}, err
	}
	old, err := m.bytesLocked(key)
	if err == nil {
		err = allow(old)
	}
	if err != nil {
		return cache.Version{}, err
	}
	m.putLocked(key, e, life, now)
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
	e, err := m.bytesLocked(key)
	if err != nil || !allow(e) {
		return false, err
	}
	m.dropLocked(key)
	return e != nil, nil
}
