package memory

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// Explain says why key is or is not served. It takes no lock but that of the
// key's lease, and allocates. See cache.Explainer.
func (c *Cache) Explain(ctx context.Context, key string) (cache.Explanation, error) {
	return c.ExplainAs(ctx, key, func(as cache.State, _ any) (cache.State, error) { return as, nil })
}

// ExplainAs is Explain for a reader who judges values. judge gets the cache's own
// bytes. See cache.Explainer.
func (c *Cache) ExplainAs(ctx context.Context, key string, judge func(as cache.State, held any) (cache.State, error)) (cache.Explanation, error) {
	if err := c.check(ctx, key); err != nil {
		return cache.Explanation{}, opError("explain", key, err)
	}
	now := c.now()
	var found []cache.Reason
	var lease cache.Lease
	if n := c.engine.Peek(key); n != nil {
		found = append(found, explain(n, now, judge))
	}
	if r, ok := c.leases.peek(key, now); ok {
		state := cache.StateHold
		switch r.kind {
		case isLease:
			state, lease = cache.StateLease, r.lease
		case isMark:
			state = cache.StateWriteMark
		case isLock:
		}
		found = append(found, cache.Reason{State: state, TTL: time.Duration(r.deadline - now)})
	}
	if len(found) == 0 {
		found = append(found, cache.Reason{State: cache.StateAbsent})
	}
	for i := range found {
		found[i].Layer = layer
	}
	return c.coordinator.Explain(key, lease, found...), nil
}

// explain says what n is to a reader.
func explain(n *node, now int64, judge func(as cache.State, held any) (cache.State, error)) cache.Reason {
	e := &n.Value
	if e.lapsed() {
		return cache.Reason{State: cache.StateRegionExpired}
	}
	if expired(n, now) {
		return cache.Reason{State: cache.StateExpired}
	}
	window, _ := e.sliding()
	r := cache.Reason{TTL: left(n, now), Sliding: time.Duration(window), Locked: e.lockAt(now) != nil}
	switch e.kind() {
	case kindBytes:
		r.State, r.Err = judge(cache.StateValue, []byte(e.text()))
	case kindObject:
		r.State, r.Err = judge(cache.StateObject, e.object)
	case kindCounter:
		r.State = cache.StateCounter
	}
	return r
}

// peek returns the lease, mark or forced lock of key that stands.
func (l *leases) peek(key string, now int64) (leaseRecord, bool) {
	s := l.shard(key)
	if s.held.Load() == 0 {
		return leaseRecord{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.leases[key]
	return r, ok && now < r.deadline
}
