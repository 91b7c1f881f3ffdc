package distributed

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// Cache is the Redis backend. It implements every capability of package cache
// but Objects and Clearer: it holds bytes, and would have to scan the server to
// empty a part of it. All methods are safe for concurrent use. Use New.
type Cache struct {
	// Immutable.
	opts        Options
	transport   *transport.Transport
	coordinator *cache.Coordinator
	generations generationNames

	waker *waker

	touches touchMemo
	closed  atomic.Bool
	// noLeaseCommand is set once the server turned out to be older than 7.0,
	// which has no SET NX GET.
	noLeaseCommand atomic.Bool
	tracking       atomic.Bool // whether leases come with a moment

	hits, misses, sets, removes, undecodable atomic.Uint64
}

var (
	_ cache.Backend       = (*Cache)(nil)
	_ cache.Batcher       = (*Cache)(nil)
	_ cache.Counter       = (*Cache)(nil)
	_ cache.Leaser        = (*Cache)(nil)
	_ cache.Peeker        = (*Cache)(nil)
	_ cache.Waker         = (*Cache)(nil)
	_ cache.Explainer     = (*Cache)(nil)
	_ cache.Appender      = (*Cache)(nil)
	_ cache.Versioner     = (*Cache)(nil)
	_ cache.Locker        = (*Cache)(nil)
	_ cache.WriteMarker   = (*Cache)(nil)
	_ cache.Ordered       = (*Cache)(nil)
	_ cache.Coordinated   = (*Cache)(nil)
	_ cache.Regions       = (*Cache)(nil)
	_ cache.StatsReporter = (*Cache)(nil)
)

// New returns a cache on client. It sends nothing, so it works while Redis is
// down. A nil opts means all defaults. The error joins a *cache.OptionError,
// wrapping cache.ErrInvalidConfig, for each thing that is wrong.
func New(client redis.UniversalClient, opts *Options) (*Cache, error) {
	if opts == nil {
		opts = &Options{}
	}
	if err := opts.check(client); err != nil {
		return nil, err
	}
	c := &Cache{opts: opts.withDefaults(), coordinator: cache.NewCoordinator(opts.Observer)}
	c.touches.epoch = time.Now()
	c.generations = namesOfGenerations(c.opts.Prefix)
	t, err := transport.New(client, c.transportOptions())
	if err != nil {
		return nil, err
	}
	c.transport = t
	c.waker = newWaker(t, c.name(cache.ReservedPrefix+"wake"))
	return c, nil
}

// Coordinate returns the cache's one coordinator, and key.
func (c *Cache) Coordinate(key string) (*cache.Coordinator, string) { return c.coordinator, key }

// Close ends the loads in flight, then everything else that the cache started,
// and waits until ctx ends. It is idempotent; afterwards every call returns
// cache.ErrClosed. The client stays open, unless Options.CloseClient is set.
func (c *Cache) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	c.closed.Store(true)
	err := c.coordinator.Close(ctx)
	return errors.Join(err, c.waker.close(ctx), c.transport.Close(ctx))
}

// begin is what every call checks first.
func (c *Cache) begin(ctx context.Context) error {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	if c.closed.Load() {
		return cache.ErrClosed
	}
	return nil
}

func (c *Cache) beginKey(ctx context.Context, op, key string) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	if err := cache.CheckKey(key); err != nil {
		return failed(op, key, err)
	}
	return nil
}

// name returns the full Redis key.
func (c *Cache) name(key string) string { return c.opts.Prefix + key }

// millis is how durations and numbers reach the server: as whole milliseconds,
// never as a time.Duration, of which go-redis gives some values a meaning of
// its own.
func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// entry is what a key was found to hold.
type entry struct {
	state   state
	header  envelope.Header
	payload []byte // of a value; a part of the bytes that were read
	counter int64
	err     error // why it is undecodable

	stamps envelope.Stamps // of a value that depends on regions
}

type state uint8

const (
	isUndecodable state = iota // foreign, damaged or of another key
	isAbsent
	isValue
	isLease
	isHold // a lock without a value
	isMark
	isCounter
	isExpired // a value one of whose regions has expired
)

// decode tells what raw is, as found under the full key name.
func decode(name string, raw []byte) entry {
	h, payload, err := envelope.Decode(raw, envelope.Digest(name))
	switch {
	case err == nil && h.Kind == envelope.Lease:
		return entry{state: isLease, header: h}
	case err == nil && h.Kind == envelope.Mark:
		return entry{state: isMark, header: h}
	case err == nil && h.Kind == envelope.Hold:
		return entry{state: isHold, header: h}
	case err == nil:
		return entry{state: isValue, header: h, payload: payload, stamps: envelope.StampsOf(raw, h)}
	}
	if n, ok := parseCounter(raw); ok {
		return entry{state: isCounter, counter: n}
	}
	return entry{err: err}
}

// parseCounter accepts exactly what Redis writes for an integer.
func parseCounter(raw []byte) (int64, bool) {
	if len(raw) == 0 || len(raw) > len("-9223372036854775808") {
		return 0, false
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(raw) {
		return 0, false
	}
	return n, true
}
