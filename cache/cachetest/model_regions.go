package cachetest

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/larder-go/larder/cache"
)

// modelRegions is when each token was last expired, in a history that counts
// expirations. It never forgets.
type modelRegions struct {
	tracked bool
	count   uint64
	expired map[cache.Token]uint64
}

// TrackRegions implements cache.Regions.
func (m *Model) TrackRegions() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.regions.tracked = true
}

// Moment implements cache.Regions.
func (m *Model) Moment(ctx context.Context) (cache.Moment, error) {
	if err := m.whole(ctx); err != nil {
		return cache.Moment{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.regions.tracked = true
	return m.momentLocked(), nil
}

// momentLocked returns the Moment, none while regions are not tracked.
func (m *Model) momentLocked() (now cache.Moment) {
	if m.regions.tracked {
		copy(now[:8], "history:")
		binary.BigEndian.PutUint64(now[8:], m.regions.count)
	}
	return now
}

// ExpireTokens implements cache.Regions.
func (m *Model) ExpireTokens(ctx context.Context, tokens ...cache.Token) error {
	if err := m.whole(ctx); err != nil {
		return err
	}
	if err := cache.CheckTokens(tokens); err != nil || len(tokens) == 0 {
		return err
	}
	m.coordinator.InvalidateTokens(tokens)
	defer m.coordinator.InvalidateTokens(tokens)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.regions.count++
	for _, t := range tokens {
		m.regions.expired[t] = m.regions.count
	}
	return nil
}

// Unexpired implements cache.Regions.
func (m *Model) Unexpired(ctx context.Context, since cache.Moment, tokens []cache.Token) (bool, error) {
	if err := m.whole(ctx); err != nil {
		return false, err
	}
	if err := cache.CheckTokens(tokens); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unexpiredLocked(since, tokens), nil
}

// GetUnder implements cache.Regions.
func (m *Model) GetUnder(ctx context.Context, key string, _ []cache.Token) ([]byte, bool, error) {
	return m.Get(ctx, key)
}

func (m *Model) unexpiredLocked(since cache.Moment, tokens []cache.Token) bool {
	return string(since[:8]) == "history:" && !m.expiredAfterLocked(binary.BigEndian.Uint64(since[8:]), tokens)
}

// expiredAfterLocked reports whether one of tokens, or one that it belongs to,
// was expired after that many expirations.
func (m *Model) expiredAfterLocked(count uint64, tokens []cache.Token) bool {
	return slices.ContainsFunc(tokens, func(t cache.Token) bool {
		for ok := true; ok; t, ok = t.Parent() {
			if m.regions.expired[t] > count {
				return true
			}
		}
		return false
	})
}

// stampLocked gives e its tokens, if none of them expired since the load began.
func (m *Model) stampLocked(e *modelEntry, opts cache.EntryOptions) error {
	if len(opts.Tokens) > 0 && opts.Since != (cache.Moment{}) && !m.unexpiredLocked(opts.Since, opts.Tokens) {
		return cache.ErrRegionExpired
	}
	for _, t := range opts.Tokens {
		if !slices.Contains(e.tokens, t) {
			e.tokens = append(e.tokens, t)
		}
	}
	e.stamped = m.regions.count
	return nil
}

// leastTokens returns the tokens that no other of them belongs to.
func leastTokens(tokens []cache.Token) []cache.Token {
	return slices.DeleteFunc(slices.Clone(tokens), func(t cache.Token) bool {
		return slices.ContainsFunc(tokens, func(other cache.Token) bool { return other != t && belongs(other, t) })
	})
}

// belongs reports whether t is other, or belongs to it.
func belongs(t, other cache.Token) bool {
	for ok := true; ok; t, ok = t.Parent() {
		if t == other {
			return true
		}
	}
	return false
}
