package near

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/internal/tracking"
	"github.com/larder-go/larder/memory"
)

// layer is what the tier in this process calls itself in events and
// explanations.
const layer = "near"

// Cache is a distributed.Cache with values held in this process in front of it.
// Reads of bytes are those of the distributed.Cache. All methods are safe for
// concurrent use. Use New.
type Cache struct {
	*distributed.Cache

	// Immutable.
	mode     Mode
	bound    time.Duration
	observer cache.Observer
	tier     distributed.Tier
	local    *memory.Cache
	listener listener
	// ownClient is closed at the end, if it is not nil.
	ownClient redis.UniversalClient
	closed    atomic.Bool // whether it was

	contact contact
	guard   guard
	counts  counts
	intents intents
	acks    *acks // nil unless in mode Ack
}

var (
	_ cache.Backend = (*Cache)(nil)
	_ cache.Near    = (*Cache)(nil)
)

// listener is what tells of changes: a tracking.Listener.
type listener interface {
	// Supported reports whether the server can tell of changes, once that is known.
	Supported() (yes, known bool)
	Close(ctx context.Context) error
}

// signals are what a listener calls, one at a time: tracking.Events, by the names
// that have a meaning here.
type signals struct {
	Changed func(key string)
	Flushed func()
	Contact func(asOf time.Time)
	Lost    func(err error)

	Message  func(m tracking.Message) // on one of Channels
	Channels []string
}

// New returns a cache on client, which stays open unless Remote.CloseClient is
// set. It sends nothing before it returns, so it works while Redis is down. Nil
// opts mean all defaults. The error joins a *cache.OptionError, wrapping
// cache.ErrInvalidConfig, for each thing that is wrong.
func New(client redis.UniversalClient, opts *Options) (*Cache, error) {
	if opts == nil {
		opts = &Options{}
	}
	o := opts.withDefaults()
	return build(client, opts, func(client redis.UniversalClient, s signals) listener { return listen(client, &o, s) })
}

// build is New with a listener of the caller's, to the servers of the client that it
// is given.
func build(client redis.UniversalClient, opts *Options, listen func(redis.UniversalClient, signals) listener) (*Cache, error) {
	o := opts.withDefaults()
	local, errLocal := memory.New(&o.Local)
	remoteOptions := o.Remote
	remoteOptions.CloseClient = false // before it is certain that there is a cache
	remote, errRemote := distributed.New(client, &remoteOptions)
	if err := errors.Join(opts.check(), errLocal, errRemote); err != nil {
		return nil, errors.Join(err, closeUnused(local, remote))
	}
	c := &Cache{
		Cache: remote, mode: o.Mode, bound: o.Bound, observer: o.Remote.Observer,
		tier: remote.Tier(), local: local,
	}
	if o.Remote.CloseClient {
		c.ownClient = client
	}
	c.contact.init(c)
	c.guard.init()
	c.intents.init(c)
	s := signals{Changed: c.changed, Flushed: c.flush, Contact: c.contact.made, Lost: c.contact.lost}
	if c.mode == Ack {
		s = c.startAcks(s)
	}
	client, limit := c.tier.Follow(o.Bound)
	if limit != nil {
		made := s.Contact
		s.Contact = func(asOf time.Time) { made(limit(asOf)) }
	}
	c.listener = listen(client, s)
	close(c.contact.begun)
	if yes, known := c.listener.Supported(); known && !yes {
		c.contact.lost(tracking.ErrUnsupported)
	}
	return c, nil
}

// closeUnused closes what there is of a cache that will not be.
func closeUnused(local *memory.Cache, remote *distributed.Cache) (err error) {
	if local != nil {
		err = local.Close(context.Background())
	}
	if remote != nil {
		err = errors.Join(err, remote.Close(context.Background()))
	}
	return err
}

// Close ends everything that the cache started and waits until ctx ends. It is
// idempotent; afterwards every call returns cache.ErrClosed.
func (c *Cache) Close(ctx context.Context) error {
	if ctx == nil {
		return cache.ErrNilContext
	}
	err := errors.Join(c.listener.Close(ctx), c.intents.close(ctx))
	if c.acks != nil {
		err = errors.Join(err, c.acks.close(ctx))
	}
	err = errors.Join(err, c.local.Close(ctx), c.Cache.Close(ctx))
	if c.ownClient != nil && !c.closed.Swap(true) {
		err = errors.Join(err, c.ownClient.Close())
	}
	return err
}

// Mode returns the mode that the cache was made with.
func (c *Cache) Mode() Mode { return c.mode }

func (c *Cache) observe(ctx context.Context, e cache.Event) {
	if c.observer != nil {
		e.Layer = layer
		c.observer.Observe(ctx, e)
	}
}

// counts is what happened, for Near.
type counts struct {
	misses   atomic.Uint64 // reads that went to the server
	bypassed atomic.Uint64 // of these, values held that may not be served
	refused  atomic.Uint64 // values not held, because their key had changed
	changes  atomic.Uint64 // changes of keys and tokens heard of
	flushes  atomic.Uint64 // times that everything was dropped
}
