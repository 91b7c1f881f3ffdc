package distributed

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/larder-go/larder/internal/envelope"
)

// Explain says why key is or is not served: GET, PTTL and TIME in one round
// trip. If the breaker refuses it, or the server does not answer within the
// budget, the explanation says that. An entry that depends on regions takes a
// second round trip, for their generations. See cache.Explainer.
func (c *Cache) Explain(ctx context.Context, key string) (cache.Explanation, error) {
	return c.ExplainAs(ctx, key, func(as cache.State, _ any) (cache.State, error) { return as, nil })
}

// ExplainAs is Explain for a reader who judges values. See cache.Explainer.
func (c *Cache) ExplainAs(ctx context.Context, key string, judge func(as cache.State, held any) (cache.State, error)) (cache.Explanation, error) {
	const op = "explain"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.Explanation{}, err
	}
	name := c.name(key)
	get, pttl, clock := redis.NewStringCmd(ctx, "get", name), redis.NewIntCmd(ctx, "pttl", name), redis.NewTimeCmd(ctx, "time")
	errs := c.transport.DoMany(ctx, []string{name, name, name}, []redis.Cmder{get, pttl, clock}, transport.Read)
	e, err := receivedBy(name, get, errs[0])
	if err = cmp.Or(err, serverError(errs[1]), serverError(errs[2])); err != nil {
		if ctx.Err() != nil || errors.Is(err, cache.ErrClosed) {
			return cache.Explanation{}, failed(op, key, err)
		}
		return c.coordinator.Explain(key, cache.Lease{}, c.unreachable(name, err)), nil
	}
	if e.stamps != nil {
		if err := c.judge(ctx, &e); err != nil {
			return c.coordinator.Explain(key, cache.Lease{}, c.unreachable(name, err)), nil
		}
	}
	left := pttl.Val()
	if left == pttlAbsent && e.err == nil {
		e = entry{state: isAbsent} // it expired, or was removed, just now
	}
	r := e.explain(clock.Val(), judge)
	switch {
	case left == pttlForever && e.state != isAbsent:
		r.TTL = cache.NoExpiry
	case left > 0:
		r.TTL = time.Duration(left) * time.Millisecond
	}
	var lease cache.Lease
	if e.state == isLease {
		lease = cache.Lease(e.header.ID)
	}
	return c.coordinator.Explain(key, lease, r), nil
}

// unreachable is why a key cannot be looked at.
func (c *Cache) unreachable(name string, err error) cache.Reason {
	r := cache.Reason{Layer: layer, State: cache.StateUnknown, Err: err}
	switch c.transport.StateOf(name) {
	case breaker.Open:
		r.State = cache.StateBreakerOpen
	case breaker.HalfOpen:
		r.State = cache.StateBreakerHalfOpen
	}
	return r
}

// explain says what e is to a reader at that time of the server's clock.
func (e entry) explain(now time.Time, judge func(as cache.State, held any) (cache.State, error)) cache.Reason {
	r := cache.Reason{Layer: layer}
	switch e.state {
	case isAbsent:
		r.State = cache.StateAbsent
	case isValue:
		r.State, r.Err = judge(cache.StateValue, e.payload)
		r.Sliding = e.header.Window
		r.Locked = e.header.Kind == envelope.Locked && e.header.Lock.Until > now.UnixMilli()
	case isLease:
		r.State = cache.StateLease
	case isHold:
		r.State = cache.StateHold
	case isMark:
		r.State = cache.StateWriteMark
	case isExpired:
		r.State = cache.StateRegionExpired
	case isCounter:
		r.State = cache.StateCounter
	default:
		r.State, r.Err = cache.StateUndecodable, e.err
		if !e.damaged() {
			r.State = cache.StateForeign
		}
	}
	return r
}
