package distributed

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	mathrand "math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// Set stores a copy of value under key, replacing whatever is there. It costs
// one SET; with a sliding window in an absolute bound, or a lease, one script.
// See cache.Cache.
func (c *Cache) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	const op = "set"
	if err := c.begin(ctx); err != nil {
		return err
	}
	p, err := c.prepare(key, value, opts)
	if err != nil {
		return failed(op, key, err)
	}
	if err := c.stampOne(ctx, &p); err != nil {
		return failed(op, key, err)
	}
	if p.lease == (cache.Lease{}) {
		c.coordinator.Invalidate(key)
		defer c.coordinator.Invalidate(key)
	}
	if p.plain() {
		err = serverError(c.transport.Do(ctx, p.name, p.setCmd(ctx), transport.Write))
		return failed(op, key, c.noteSet(err))
	}
	cmd, err := c.eval(ctx, op, key, storeScript, p.storeArgs()...)
	if err != nil {
		return err
	}
	return failed(op, key, c.noteSet(stored(cmd)))
}

func (c *Cache) noteSet(err error) error {
	if err == nil {
		c.sets.Add(1)
	}
	return err
}

// Remove deletes the entry under key, of whatever kind: one UNLINK. See
// cache.Cache.
func (c *Cache) Remove(ctx context.Context, key string) error {
	const op = "remove"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	name := c.name(key)
	cmd := redis.NewIntCmd(ctx, "unlink", name)
	if err := c.transport.Do(ctx, name, cmd, transport.Write); err != nil {
		return failed(op, key, serverError(err))
	}
	c.removes.Add(uint64(cmd.Val()))
	return nil
}

// prepared is a value that is ready to be stored.
type prepared struct {
	name    string // the full Redis key
	entry   []byte
	version envelope.ID
	life    cache.Lifetime
	lease   cache.Lease // zero: store unconditionally

	// Of a value with tokens, which stamp makes an entry.
	names  []string // of its stamps
	since  cache.Moment
	header envelope.Header
	value  []byte // the caller's
}

// prepare checks everything about a value to be stored.
func (c *Cache) prepare(key string, value []byte, opts cache.EntryOptions) (prepared, error) {
	if err := cache.CheckKey(key); err != nil {
		return prepared{}, err
	}
	if value == nil {
		return prepared{}, cache.ErrNilValue
	}
	if len(value) > c.opts.MaxValueBytes {
		return prepared{}, cache.ErrValueTooLarge
	}
	opts, life, err := opts.Resolve(c.opts.Defaults, time.Now())
	if err != nil {
		return prepared{}, err
	}
	p := prepared{name: c.name(key), version: newVersion(), life: life, lease: opts.Lease}
	h := envelope.Header{Kind: envelope.Value, ID: p.version, Window: life.Sliding}
	if len(opts.Tokens) > 0 {
		p.names, p.since, p.header, p.value = stampNames(opts.Tokens), opts.Since, h, value
		return p, nil
	}
	p.entry = make([]byte, 0, envelope.HeaderSize+len(value))
	p.entry = envelope.Append(p.entry, h, envelope.Digest(p.name), value)
	return p, nil
}

// newVersion returns an id that no other entry has. It need not be secret.
func newVersion() (id envelope.ID) {
	binary.NativeEndian.PutUint64(id[:8], mathrand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], mathrand.Uint64())
	return id
}

// newLease returns an unguessable token.
func newLease() (token cache.Lease) {
	_, _ = rand.Read(token[:]) // never fails
	return token
}

// plain reports whether one SET does it.
func (p *prepared) plain() bool { return p.lease == (cache.Lease{}) && p.bound() == 0 }

// bound returns the time until the absolute deadline that the entry must carry.
// An entry without a sliding window needs none: its TTL is never moved.
func (p *prepared) bound() time.Duration {
	if p.life.Sliding == 0 {
		return 0
	}
	return p.life.TTL
}

// setCmd stores the value whatever is there. Without PX it clears the TTL of
// what was there.
func (p *prepared) setCmd(ctx context.Context) *redis.StatusCmd {
	if px := p.life.Initial(); px > 0 {
		return redis.NewStatusCmd(ctx, "set", p.name, p.entry, "px", millis(px))
	}
	return redis.NewStatusCmd(ctx, "set", p.name, p.entry)
}

func (p *prepared) storeArgs() []any {
	var lease []byte
	if p.lease != (cache.Lease{}) {
		lease = leaseEntry(p.name, p.lease)
	}
	return []any{lease, millis(p.life.Initial()), millis(p.bound()), p.entry}
}

// stored tells what a store script answered.
func stored(cmd *redis.Cmd) error {
	n, err := cmd.Int()
	if err == nil && n == 0 {
		return cache.ErrLeaseLost
	}
	return err
}

// eval runs a script that may write.
func (c *Cache) eval(ctx context.Context, op, key string, s *transport.Script, args ...any) (*redis.Cmd, error) {
	cmd, err := c.transport.Eval(ctx, s, c.name(key), transport.Write, args...)
	return cmd, failed(op, key, serverError(err))
}
