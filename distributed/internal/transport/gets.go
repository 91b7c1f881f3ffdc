package transport

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Single reports whether one server surely has all keys, so that one command
// may name several of them.
func (t *Transport) Single() bool {
	one, ok := t.routes.(*oneNode)
	return ok && one.only.mget
}

// GetAll is Get for many keys in one round trip per node. The keys after the
// first are asked for by GET, so that a missing one costs no second round trip;
// as with Get, concurrent callers share what is asked for more than once.
func (t *Transport) GetAll(ctx context.Context, keys []string) (values [][]byte, errs []error) {
	values, errs = make([][]byte, len(keys)), make([]error, len(keys))
	start := time.Now()
	calls := make([]*call, len(keys))
	shares := make(map[*node][]*call)
	for i, key := range keys {
		n, err := t.admit(ctx, key)
		if err != nil {
			errs[i] = err
			continue
		}
		c := t.calls.Get().(*call)
		c.get, c.key, c.size, c.start, c.exact = true, key, len(key)+32, start, i > 0
		calls[i] = c
		shares[n] = append(shares[n], c)
	}
	refused := make(map[*call]bool)
	for n, cs := range shares {
		if !n.enqueueAll(cs) {
			for _, c := range cs {
				refused[c] = true
			}
		}
	}
	for i, c := range calls {
		switch {
		case c == nil:
		case refused[c]:
			errs[i] = t.report(ctx, "get", start, t.refusal())
		default:
			values[i], errs[i] = t.got(ctx, c, keys[i], start)
		}
	}
	return values, errs
}

// got waits for the get of key and returns its outcome.
func (t *Transport) got(ctx context.Context, c *call, key string, start time.Time) ([]byte, error) {
	through, err := await(ctx, c, Read)
	if !through {
		return nil, t.report(ctx, "get", start, err)
	}
	value, err := c.outcome()
	t.release(c)
	if err == nil || err == redis.Nil { //nolint:errorlint // ours, unwrapped
		return value, t.answered(ctx, "get", start, err)
	}
	if t.routes.redirects(err) {
		cmd := redis.NewStringCmd(ctx, "get", key)
		if err = t.redirect(ctx, start, cmd); err == nil {
			value, err = cmd.Bytes()
		}
	}
	return value, t.settle(ctx, "get", start, err, Read, true)
}

// enqueueAll is enqueue for calls that shall share a round trip.
func (n *node) enqueueAll(cs []*call) bool {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return false
	}
	n.queue = append(n.queue, cs...)
	n.wakeLocked()
	return true
}
