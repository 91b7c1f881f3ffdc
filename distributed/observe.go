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

// transportOptions makes the transport report to the observer. What it reports
// may concern the calls of several callers, so it has no context of theirs.
func (c *Cache) transportOptions() transport.Options {
	return transport.Options{
		Budget: c.opts.Budget,
		Breaker: breaker.Options{
			Failures: c.opts.BreakerFailures,
			MinOpen:  c.opts.BreakerMinOpen,
			MaxOpen:  c.opts.BreakerMaxOpen,
		},
		OnBreaker: func(state breaker.State) {
			c.observe(context.Background(), cache.Event{Kind: cache.EventBreaker, Detail: state.String()})
		},
		OnError: func(op string, d time.Duration, err error) {
			c.observe(context.Background(), cache.Event{Kind: cache.EventServerError, Op: op, Duration: d, Err: err})
		},
		CloseClient: c.opts.CloseClient,
	}
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
