package distributed

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// How every lease, every hold and every write mark begins.
const (
	leaseHead = envelope.Magic + string(rune(envelope.Lease)) + "\x00"
	holdHead  = envelope.Magic + string(rune(envelope.Hold)) + "\x00"
	markHead  = envelope.Magic + string(rune(envelope.Mark)) + "\x00"
)

// Increment adds delta to the counter under key, which is a plain decimal
// number to other clients. It costs one script. See cache.Counter.
func (c *Cache) Increment(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (int64, error) {
	const op = "increment"
	if err := c.beginKey(ctx, op, key); err != nil {
		return 0, err
	}
	opts, life, err := opts.Resolve(c.opts.Defaults, time.Now())
	if err == nil && len(opts.Tokens) > 0 {
		err = &cache.OptionError{
			Option: "EntryOptions.Tokens", Value: len(opts.Tokens),
			Reason: "are not for counters", Err: cache.ErrInvalidConfig,
		}
	}
	if err == nil && life.Sliding != 0 {
		err = &cache.OptionError{
			Option: "EntryOptions.SlidingExpiration", Value: opts.SlidingExpiration,
			Reason: "is not for counters", Err: cache.ErrInvalidTTL,
		}
	}
	if err != nil {
		return 0, failed(op, key, err)
	}
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	n, err := c.increment(ctx, op, key, delta, life.TTL)
	if errors.Is(err, cache.ErrWrongType) && c.makeRoom(ctx, key) {
		n, err = c.increment(ctx, op, key, delta, life.TTL)
	}
	return n, err
}

func (c *Cache) increment(ctx context.Context, op, key string, delta int64, ttl time.Duration) (int64, error) {
	cmd, err := c.eval(ctx, op, key, incrementScript, strconv.FormatInt(delta, 10), millis(ttl), leaseHead, holdHead, markHead)
	if err != nil {
		return 0, err
	}
	n, err := sum(cmd.Text())
	return n, failed(op, key, err)
}

// makeRoom puts a lease, which a counter replaces, in the place of a value whose
// region has expired. It reports whether it did.
func (c *Cache) makeRoom(ctx context.Context, key string) bool {
	e, err := c.fetch(ctx, "increment", key)
	if err != nil || e.state != isExpired {
		return false
	}
	a := c.ask(ctx, key, c.opts.Budget)
	_, err = c.transport.Eval(ctx, takeScript, a.name, transport.Write, a.takeArgs(e)...)
	return errors.Is(err, redis.Nil)
}

// sum tells what the increment script answered.
func sum(answer string, err error) (int64, error) {
	switch {
	case err != nil:
		return 0, err
	case answer == "type":
		return 0, cache.ErrWrongType
	case answer == "range":
		return 0, cache.ErrOverflow
	}
	return strconv.ParseInt(answer, 10, 64)
}
