package distributed

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
)

// Get returns the value under key. Its cost is one GET, which it may share a
// round trip with other calls' ones. A foreign or damaged entry is a miss, a
// counter cache.ErrWrongType. See cache.Cache.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool, error) {
	e, err := c.read(ctx, "get", key)
	if err != nil || e.state != isValue {
		return nil, false, err
	}
	return e.payload, true, nil
}

// AppendTo is Get, with the value appended to dst. See cache.Appender.
func (c *Cache) AppendTo(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
	e, err := c.read(ctx, "append_to", key)
	if err != nil || e.state != isValue {
		return dst, false, err
	}
	return append(dst, e.payload...), true, nil
}

// Count returns the counter under key. A value is cache.ErrWrongType. See
// cache.Counter.
func (c *Cache) Count(ctx context.Context, key string) (int64, bool, error) {
	const op = "count"
	e, err := c.fetch(ctx, op, key)
	if err != nil {
		return 0, false, err
	}
	if e.state == isValue {
		return 0, false, failed(op, key, cache.ErrWrongType)
	}
	c.noteRead(ctx, op, e, isCounter)
	return e.counter, e.state == isCounter, nil
}

// read fetches what is to be a value.
func (c *Cache) read(ctx context.Context, op, key string) (entry, error) {
	e, err := c.fetch(ctx, op, key)
	if err != nil {
		return e, err
	}
	return e, c.valueRead(ctx, op, key, e)
}

// fetch asks the server for key.
func (c *Cache) fetch(ctx context.Context, op, key string) (entry, error) {
	if err := c.beginKey(ctx, op, key); err != nil {
		return entry{}, err
	}
	name := c.name(key)
	raw, err := c.transport.Get(ctx, name)
	e, err := received(name, raw, err)
	if err == nil && e.stamps != nil {
		err = c.judge(ctx, &e)
	}
	return e, failed(op, key, err)
}

// received tells what an answer to GET says. A key of another Redis type is
// foreign data, not a failure.
func received(name string, raw []byte, err error) (entry, error) {
	switch {
	case err == nil:
		return decode(name, raw), nil
	case errors.Is(err, redis.Nil):
		return entry{state: isAbsent}, nil
	case isWrongType(err):
		return entry{err: errForeignType}, nil
	}
	return entry{}, serverError(err)
}

// receivedBy is received for a GET that ended with err.
func receivedBy(name string, get *redis.StringCmd, err error) (entry, error) {
	var raw []byte
	if err == nil {
		raw, err = get.Bytes()
	}
	return received(name, raw, err)
}

var errForeignType = errors.New("larder: key of another Redis type")

// valueRead does what follows from having read e instead of a value, or a value
// with a sliding window.
func (c *Cache) valueRead(ctx context.Context, op, key string, e entry) error {
	if e.state == isCounter {
		return failed(op, key, cache.ErrWrongType)
	}
	c.noteRead(ctx, op, e, isValue)
	if e.state == isValue && e.header.Window > 0 {
		c.touchLater(ctx, key, e.header)
	}
	return nil
}

// noteRead counts a read that wanted an entry in this state.
func (c *Cache) noteRead(ctx context.Context, op string, e entry, wanted state) {
	if e.state == isUndecodable {
		c.undecodable.Add(1)
		c.observe(ctx, cache.Event{Kind: cache.EventUndecodable, Op: op, Err: e.err})
	}
	if e.state == wanted {
		c.hits.Add(1)
		c.observe(ctx, cache.Event{Kind: cache.EventHit, Op: op})
		return
	}
	c.misses.Add(1)
	missed := cache.Event{Kind: cache.EventMiss, Op: op}
	if e.state == isExpired {
		missed.Detail = "region"
	}
	c.observe(ctx, missed)
}

// GetMany reads the keys in one round trip per server node. See cache.Batcher.
func (c *Cache) GetMany(ctx context.Context, keys []string) ([]cache.Result, error) {
	const op = "get_many"
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	results := make([]cache.Result, len(keys))
	b := newBatch(len(keys))
	for i, key := range keys {
		if err := cache.CheckKey(key); err != nil {
			results[i].Err = failed(op, key, err)
			continue
		}
		name := c.name(key)
		b.add(i, name, redis.NewStringCmd(ctx, "get", name))
	}
	errs := c.send(ctx, b, transport.Read)
	entries := make([]entry, len(b.index))
	for j := range entries {
		entries[j], errs[j] = receivedBy(b.names[j], b.cmds[j].(*redis.StringCmd), errs[j])
	}
	c.judgeAll(ctx, entries, errs)
	for j, i := range b.index {
		results[i] = c.result(ctx, op, keys[i], entries[j], errs[j])
	}
	return results, nil
}

// result is what one command of GetMany brought.
func (c *Cache) result(ctx context.Context, op, key string, e entry, err error) cache.Result {
	if err == nil {
		err = c.valueRead(ctx, op, key, e)
	} else {
		err = failed(op, key, err)
	}
	if err != nil || e.state != isValue {
		return cache.Result{Err: err}
	}
	return cache.Result{Value: e.payload, Found: true}
}
