package distributed

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// Lease asks for the right to fill key: one SET NX GET. A damaged entry makes
// room for the lease, foreign data does not. See cache.Leaser.
func (c *Cache) Lease(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
	const op = "lease"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.LeaseReply{}, err
	}
	ttl, err := leaseTTL(ttl)
	if err != nil {
		return cache.LeaseReply{}, failed(op, key, err)
	}
	a := c.ask(ctx, key, ttl)
	if c.tracking.Load() {
		replies, errs := c.leaseAll(ctx, []*asking{a})
		return replies[0], failed(op, key, errs[0])
	}
	err = c.transport.Do(ctx, a.name, a.cmd, transport.Write)
	if c.lacksLeaseCommand(err) {
		a.cmd = leaseByText(ctx, a)
		err = c.transport.Do(ctx, a.name, a.cmd, transport.Write)
	}
	reply, err := c.leaseReply(ctx, a, err)
	if a.found.stamps != nil {
		replies, errs := []cache.LeaseReply{reply}, []error{err}
		c.takeExpired(ctx, []*asking{a}, replies, errs)
		reply, err = replies[0], errs[0]
	}
	return reply, failed(op, key, err)
}

// LeaseMany is Lease for distinct keys, in one round trip per server node. See
// cache.Leaser.
func (c *Cache) LeaseMany(ctx context.Context, keys []string, ttl time.Duration) ([]cache.LeaseReply, error) {
	const op = "lease_many"
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	ttl, err := leaseTTL(ttl)
	if err != nil {
		return nil, failed(op, "", err)
	}
	replies := make([]cache.LeaseReply, len(keys))
	asked, at := make([]*asking, 0, len(keys)), make([]int, 0, len(keys))
	for i, key := range keys {
		if err := cache.CheckKey(key); err != nil {
			replies[i].Err = failed(op, key, err)
			continue
		}
		asked, at = append(asked, c.ask(ctx, key, ttl)), append(at, i)
	}
	found, errs := c.leaseAll(ctx, asked)
	for j, i := range at {
		replies[i] = found[j]
		replies[i].Err = failed(op, keys[i], errs[j])
	}
	return replies, nil
}

// Release gives an unused lease back, if it still stands: one script. See
// cache.Leaser.
func (c *Cache) Release(ctx context.Context, key string, lease cache.Lease) error {
	const op = "release"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	if lease == (cache.Lease{}) {
		return nil
	}
	_, err := c.eval(ctx, op, key, releaseScript, leaseEntry(c.name(key), lease), c.waker.channel)
	return err
}

// forgetLease gives up the lease of a request without an answer: if it was
// granted, nobody would know, and others would wait for it.
func (c *Cache) forgetLease(a *asking) {
	c.transport.Background(a.name, releaseScript.Cmd(context.Background(), a.name, a.entry, c.waker.channel))
}

// Extend lets a lease that stands last for another ttl: one script. See
// cache.Leaser.
func (c *Cache) Extend(ctx context.Context, key string, lease cache.Lease, ttl time.Duration) (bool, error) {
	const op = "extend"
	if err := c.beginKey(ctx, op, key); err != nil {
		return false, err
	}
	ttl, err := leaseTTL(ttl)
	if err != nil {
		return false, failed(op, key, err)
	}
	cmd, err := c.eval(ctx, op, key, extendScript, leaseEntry(c.name(key), lease), millis(ttl))
	if err != nil {
		return false, err
	}
	n, err := cmd.Int()
	return n == 1, failed(op, key, err)
}

// Peek is Get that tells who is in charge of a key without a value. See
// cache.Peeker.
func (c *Cache) Peek(ctx context.Context, key string) ([]byte, cache.LeaseReply, error) {
	e, err := c.fetch(ctx, "peek", key)
	if err != nil {
		return nil, cache.LeaseReply{}, err
	}
	return e.payload, e.reply(), nil
}

// reply says what e is to somebody who wants to fill its key.
func (e entry) reply() cache.LeaseReply {
	switch {
	case e.state == isValue || e.state == isCounter:
		return cache.LeaseReply{State: cache.LeaseFound}
	case e.state == isLease:
		return cache.LeaseReply{State: cache.LeaseBusy, Lease: cache.Lease(e.header.ID)}
	case e.state == isMark:
		return cache.LeaseReply{State: cache.LeaseMarked, Lease: cache.Lease(e.header.ID)}
	case e.state == isAbsent || e.state == isExpired || e.damaged():
		return cache.LeaseReply{State: cache.LeaseFree}
	}
	return cache.LeaseReply{State: cache.LeaseRefused}
}

// damaged reports whether e is larder's own but cannot be used, so that a lease
// may take its place.
func (e entry) damaged() bool {
	return e.state == isUndecodable && !errors.Is(e.err, envelope.ErrForeign) && !errors.Is(e.err, errForeignType)
}

func leaseTTL(ttl time.Duration) (time.Duration, error) {
	if ttl <= 0 { // NoExpiry, too
		return 0, &cache.OptionError{Option: "ttl", Value: ttl, Reason: "must be positive", Err: cache.ErrInvalidTTL}
	}
	_, life, err := cache.EntryOptions{TTL: ttl}.Resolve(cache.EntryOptions{}, time.Time{})
	return life.TTL, err
}

// leaseEntry is what a lease is in Redis. It is the same at every call, so that
// the scripts can compare it as a whole.
func leaseEntry(name string, token cache.Lease) []byte {
	h := envelope.Header{Kind: envelope.Lease, ID: envelope.ID(token)}
	return envelope.Append(make([]byte, 0, envelope.HeaderSize), h, envelope.Digest(name), nil)
}

// asking is one request for a lease.
type asking struct {
	name  string
	token cache.Lease
	entry []byte
	px    string
	cmd   *redis.Cmd
	found entry // a value that was there instead
}

func (c *Cache) ask(ctx context.Context, key string, ttl time.Duration) *asking {
	a := &asking{name: c.name(key), token: newLease(), px: millis(ttl)}
	a.entry = leaseEntry(a.name, a.token)
	if c.noLeaseCommand.Load() {
		a.cmd = leaseByText(ctx, a)
	} else {
		a.cmd = redis.NewCmd(ctx, "set", a.name, a.entry, "px", a.px, "nx", "get")
	}
	return a
}

// leaseByText is the request for servers before 7.0, where SET knows either NX
// or GET.
func leaseByText(ctx context.Context, a *asking) *redis.Cmd {
	return redis.NewCmd(ctx, "eval", leaseLua, 1, a.name, a.entry, a.px)
}

// lacksLeaseCommand reports whether err means that the server is before 7.0,
// and remembers it.
func (c *Cache) lacksLeaseCommand(err error) bool {
	if !isReply(err, "ERR syntax error") {
		return false
	}
	c.noLeaseCommand.Store(true)
	return true
}

// sendLeases sends b, and again what an old server did not understand.
func (c *Cache) sendLeases(ctx context.Context, b *batch, asked []*asking) []error {
	errs := c.send(ctx, b, transport.Write)
	again := newBatch(0)
	for j, err := range errs {
		if c.lacksLeaseCommand(err) {
			asked[j].cmd = leaseByText(ctx, asked[j])
			again.add(j, asked[j].name, asked[j].cmd)
		}
	}
	for k, err := range c.send(ctx, again, transport.Write) {
		errs[again.index[k]] = err
	}
	return errs
}

// answered tells what a request for a lease ended with: a reply, or what is there
// instead of the lease.
func (c *Cache) answered(a *asking, text func() (string, error), err error) (there string, isThere bool, reply cache.LeaseReply, _ error) {
	switch {
	case errors.Is(err, redis.Nil):
		return "", false, cache.LeaseReply{State: cache.LeaseGranted, Lease: a.token}, nil
	case isWrongType(err):
		return "", false, cache.LeaseReply{State: cache.LeaseRefused}, nil
	case errors.Is(err, cache.ErrOutcomeUnknown):
		c.forgetLease(a)
	case err == nil:
		there, err = text()
		isThere = err == nil
	}
	return there, isThere, cache.LeaseReply{}, serverError(err)
}

// leaseReply tells what the answer to a means.
func (c *Cache) leaseReply(ctx context.Context, a *asking, err error) (cache.LeaseReply, error) {
	there, isThere, reply, err := c.answered(a, a.cmd.Text, err)
	if !isThere {
		return reply, err
	}
	e := decode(a.name, []byte(there))
	if e.damaged() {
		return c.leaseDamaged(ctx, a, there)
	}
	a.found = e
	return e.reply(), nil
}

// leaseDamaged puts a lease in the place of an entry that is larder's own, but
// is damaged or of another key, if it still is what was read.
func (c *Cache) leaseDamaged(ctx context.Context, a *asking, there string) (cache.LeaseReply, error) {
	cmd, err := c.transport.Eval(ctx, swapScript, a.name, transport.Write, there, a.entry, a.px)
	if err != nil {
		return cache.LeaseReply{}, serverError(err)
	}
	if n, err := cmd.Int(); err != nil || n == 0 {
		return cache.LeaseReply{State: cache.LeaseRefused}, err
	}
	return cache.LeaseReply{State: cache.LeaseGranted, Lease: a.token}, nil
}
