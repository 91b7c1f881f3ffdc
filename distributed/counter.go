package distributed

import (
	"context"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
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
	cmd, err := c.eval(ctx, op, key, incrementScript, strconv.FormatInt(delta, 10), millis(life.TTL), leaseHead, holdHead, markHead)
	if err != nil {
		return 0, err
	}
	n, err := sum(cmd.Text())
	return n, failed(op, key, err)
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
