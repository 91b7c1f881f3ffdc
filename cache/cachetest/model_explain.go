package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// Explain says what is under key. See cache.Explainer.
func (m *Model) Explain(ctx context.Context, key string) (cache.Explanation, error) {
	return m.ExplainAs(ctx, key, func(as cache.State, _ any) (cache.State, error) { return as, nil })
}

// ExplainAs is Explain for a reader who judges values. See cache.Explainer.
func (m *Model) ExplainAs(ctx context.Context, key string, judge func(as cache.State, held any) (cache.State, error)) (cache.Explanation, error) {
	if err := m.begin(ctx, key); err != nil {
		return cache.Explanation{}, err
	}
	defer m.mu.Unlock()
	now := time.Now()
	r, token := cache.Reason{Layer: "model", State: cache.StateAbsent}, cache.Lease{}
	e := m.entries[key]
	switch l, leased := m.leases[key]; {
	case e != nil && m.expiredAfterLocked(e.stamped, e.tokens):
		r.State = cache.StateRegionExpired
	case e != nil && !e.alive(now) && !m.lockedLocked(key):
		r.State = cache.StateExpired
	case e != nil:
		r.TTL, r.Sliding, r.Locked = m.itemLocked(key, e).TTL, e.window, m.lockedLocked(key)
		switch e.kind {
		case kindBytes:
			r.State, r.Err = judge(cache.StateValue, e.bytes)
		case kindObject:
			r.State, r.Err = judge(cache.StateObject, e.object)
		case kindCounter:
			r.State = cache.StateCounter
		}
	case m.lockedLocked(key):
		r.State, r.TTL = cache.StateHold, m.locks[key].until.Sub(now)
	case m.markLocked(key) != nil:
		r.State = cache.StateWriteMark
	case leased && now.Before(l.until):
		r.State, r.TTL, token = cache.StateLease, l.until.Sub(now), l.token
	}
	return m.coordinator.Explain(key, token, r), nil
}
