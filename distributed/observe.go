package distributed

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/breaker"
)

const layer = "redis"

func (c *Cache) observe(ctx context.Context, e cache.Event) {
	if c.opts.Observer != nil {
		e.Layer = layer
		c.opts.Observer.Observe(ctx, e)
	}
}

// transportOptions makes the transport report to the observer.
func (c *Cache) transportOptions() transport.Options {
	o := transport.Options{
		Budget: c.opts.Budget,
		Breaker: breaker.Options{
			Failures: c.opts.BreakerFailures,
			MinOpen:  c.opts.BreakerMinOpen,
			MaxOpen:  c.opts.BreakerMaxOpen,
		},
		OnBreaker: func(state breaker.State) {
			c.observe(context.Background(), cache.Event{Kind: cache.EventBreaker, Detail: state.String()})
		},
		CloseClient: c.opts.CloseClient,
	}
	if c.opts.Observer != nil {
		o.OnCall = c.observeCall
	}
	return o
}

func (c *Cache) observeCall(ctx context.Context, op string, d time.Duration, err error) {
	kind := cache.EventServerCall
	if err != nil {
		kind = cache.EventServerError
	}
	c.observe(ctx, cache.Event{Kind: kind, Op: op, Duration: d, Err: err})
}

// Stats returns what this cache did in this process. The server's entries and
// bytes are not counted: see DBSIZE and INFO.
func (c *Cache) Stats() cache.Stats {
	s := cache.Stats{
		Hits:         c.hits.Load(),
		Misses:       c.misses.Load(),
		Sets:         c.sets.Load(),
		Removes:      c.removes.Load(),
		Undecodable:  c.undecodable.Load(),
		ServerErrors: c.transport.Errors(),
		Rejected:     c.transport.Rejected(),
	}
	c.coordinator.AddTo(&s)
	return s
}
