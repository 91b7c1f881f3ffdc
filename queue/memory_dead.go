package queue

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

// Dead implements DeadLetters. It takes time in proportion to the number of
// keys.
func (m *Memory) Dead(ctx context.Context, after string, limit int) ([]DeadLetter, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, invalid("limit", limit, "must be positive")
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	var dead []*slot
	for _, s := range m.slots {
		if s.state == slotDead && s.key > after {
			dead = append(dead, s)
		}
	}
	slices.SortFunc(dead, func(a, b *slot) int { return strings.Compare(a.key, b.key) })
	letters := make([]DeadLetter, 0, min(limit, len(dead)))
	for _, s := range dead[:min(limit, len(dead))] {
		letters = append(letters, DeadLetter{
			Item: s.head.copy(s.key, now), Attempts: s.attempts, Reason: s.reason, Since: now.Sub(s.died),
		})
	}
	return letters, nil
}

// Revive implements DeadLetters.
func (m *Memory) Revive(ctx context.Context, key string, sequence uint64) error {
	return m.withDead(ctx, key, sequence, func(s *slot, now time.Time) {
		s.state, s.attempts, s.reason = slotReady, 0, ""
		m.dueLocked(s, now)
	})
}

// Drop implements DeadLetters.
func (m *Memory) Drop(ctx context.Context, key string, sequence uint64) error {
	return m.withDead(ctx, key, sequence, m.removeLocked)
}

func (m *Memory) withDead(ctx context.Context, key string, sequence uint64, do func(s *slot, now time.Time)) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.slots[key]
	if s == nil || s.state != slotDead || s.head.sequence != sequence {
		return ErrNoDeadLetter
	}
	m.stats.Dead--
	do(s, now)
	return nil
}
