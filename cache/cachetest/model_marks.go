package cachetest

import (
	"context"
	"crypto/rand"
	"maps"
	"time"

	"github.com/larder-go/larder/cache"
)

// modelMark is a write mark: its epoch, and when the time of each writer is over.
type modelMark struct {
	epoch   [16]byte
	writers map[[16]byte]time.Time
}

// markLocked returns the mark that stands on key, without the writers whose time
// is over; nil if none does.
func (m *Model) markLocked(key string) *modelMark {
	mark := m.marks[key]
	if mark == nil {
		return nil
	}
	maps.DeleteFunc(mark.writers, func(_ [16]byte, until time.Time) bool { return !time.Now().Before(until) })
	if len(mark.writers) == 0 {
		delete(m.marks, key)
		return nil
	}
	return mark
}

func (mark *modelMark) renew() { _, _ = rand.Read(mark.epoch[:]) } // never fails

// invalidateLocked removes what is under key. A mark stands, with another epoch.
func (m *Model) invalidateLocked(key string) {
	mark := m.markLocked(key)
	m.dropLocked(key)
	if mark != nil {
		mark.renew()
		m.marks[key] = mark
	}
}

// BeginWrite implements cache.WriteMarker.
func (m *Model) BeginWrite(ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
	m.coordinator.Invalidate(key)
	defer m.coordinator.Invalidate(key)
	if err := m.begin(ctx, key); err != nil {
		return cache.WriteMark{}, err
	}
	defer m.mu.Unlock()
	lasts, err := wholeTTL(ttl)
	if err != nil {
		return cache.WriteMark{}, err
	}
	mark := m.markLocked(key)
	if mark != nil && len(mark.writers) >= cache.MaxWriters {
		return cache.WriteMark{}, cache.ErrTooManyWriters
	}
	var mine cache.WriteMark
	_, _ = rand.Read(mine.Writer[:]) // never fails
	alone := mark == nil
	if alone {
		mark = &modelMark{writers: make(map[[16]byte]time.Time)}
	}
	mark.renew()
	mark.writers[mine.Writer] = time.Now().Add(lasts)
	if alone {
		mine.Epoch = mark.epoch
	}
	m.dropLocked(key)
	m.marks[key] = mark
	return mine, nil
}

// EndWrite implements cache.WriteMarker.
func (m *Model) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	m.coordinator.Invalidate(key)
	defer m.coordinator.Invalidate(key)
	if err := m.begin(ctx, key); err != nil {
		return err
	}
	defer m.mu.Unlock()
	if mark.Writer == [16]byte{} {
		return cache.ErrInvalidMark
	}
	m.endLocked(key, mark)
	return nil
}

// endLocked takes a writer out of the mark and removes what else there is.
func (m *Model) endLocked(key string, mine cache.WriteMark) {
	if mark := m.markLocked(key); mark != nil {
		delete(mark.writers, mine.Writer)
	}
	m.invalidateLocked(key)
}

// spendLocked ends a write and reports whether its value may be stored.
func (m *Model) spendLocked(key string, mine cache.WriteMark) bool {
	mark := m.markLocked(key)
	stands := mark != nil && mark.epoch == mine.Epoch
	m.endLocked(key, mine)
	return stands
}
