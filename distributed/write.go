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
// one SET; with a sliding window in an absolute bound, a lease or a write mark,
// one script.
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
	cmd := p.scriptCmd(ctx, c.waker.channel)
	if err := c.transport.Do(ctx, p.name, cmd, transport.Write); err != nil {
		return failed(op, key, serverError(err))
	}
	return failed(op, key, c.noteSet(p.stored(cmd)))
}

func (c *Cache) noteSet(err error) error {
	if err == nil {
		c.sets.Add(1)
	}
	return err
}

// Remove deletes the entry under key, of whatever kind: one script, which is an
// UNLINK unless there is a write mark. See cache.Cache.
func (c *Cache) Remove(ctx context.Context, key string) error {
	const op = "remove"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	name := c.name(key)
	cmd := invalidation(ctx, name)
	if err := c.transport.Do(ctx, name, cmd, transport.Write); err != nil {
		return failed(op, key, serverError(err))
	}
	return failed(op, key, c.noteRemoved(cmd))
}

// prepared is a value that is ready to be stored.
type prepared struct {
	name    string // the full Redis key
	entry   []byte
	version envelope.ID
	life    cache.Lifetime
	lease   cache.Lease     // the condition to store it, or
	mark    cache.WriteMark // that; both zero: none

	// Of a value with tokens, which stamp makes an entry.
	names  []string // of its stamps
	since  cache.Moment
	header envelope.Header
	value  []byte // the caller's
}

// prepare checks everything about a value to be stored.
func (c *Cache) prepare(key string, value []byte, opts cache.EntryOptions) (prepared, error) {
	return c.prepareOrdered(key, value, 0, opts)
}

// prepareOrdered is prepare for a value with an order; 0: none.
func (c *Cache) prepareOrdered(key string, value []byte, order uint64, opts cache.EntryOptions) (prepared, error) {
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
	p := prepared{name: c.name(key), version: newVersion(), life: life, lease: opts.Lease, mark: opts.Mark}
	h := envelope.Header{Kind: envelope.Value, ID: p.version, Window: life.Sliding, Order: order}
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
func (p *prepared) plain() bool { return p.unconditional() && p.bound() == 0 }

// unconditional reports whether it is stored whatever is there.
func (p *prepared) unconditional() bool {
	return p.lease == (cache.Lease{}) && p.mark == (cache.WriteMark{})
}

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

// scriptCmd is the script that stores what one SET cannot. Followers of the lease
// are woken on channel.
func (p *prepared) scriptCmd(ctx context.Context, channel string) *transport.ScriptCmd {
	if p.mark != (cache.WriteMark{}) {
		return endWriteScript.Cmd(ctx, p.name, entryArgs(p.name, endArgs(p.name, p.mark, p)...)...)
	}
	var lease []byte
	if p.lease != (cache.Lease{}) {
		lease = leaseEntry(p.name, p.lease)
	}
	return storeScript.Cmd(ctx, p.name, lease, millis(p.life.Initial()), millis(p.bound()), p.entry, channel)
}

// stored tells what that script answered.
func (p *prepared) stored(cmd *transport.ScriptCmd) error {
	if p.mark != (cache.WriteMark{}) {
		words, err := cmd.StringSlice()
		if err == nil && (len(words) == 0 || words[0] != "ok") {
			return cache.ErrWriteOverlapped
		}
		return err
	}
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
