package distributed

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// A write mark is what the key holds while its source is being written: the
// epoch, and the writers with the time at which each is over, by the server's
// clock. The key lives until the last of these, so a mark whose writers all died
// is gone by itself. The transitions are those of internal/protocol.

var mostWriters = strconv.Itoa(cache.MaxWriters)

// BeginWrite removes what is under key and marks the key for at most ttl: one
// script. See cache.WriteMarker.
func (c *Cache) BeginWrite(ctx context.Context, key string, ttl time.Duration) (cache.WriteMark, error) {
	const op = "begin_write"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.WriteMark{}, err
	}
	ttl, err := leaseTTL(ttl)
	if err != nil {
		return cache.WriteMark{}, failed(op, key, err)
	}
	mark := cache.WriteMark{}
	_, _ = rand.Read(mark.Writer[:]) // never fails
	epoch := newVersion()
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	a, err := c.runScript(ctx, op, key, beginWriteScript, transport.Write,
		markHeader(c.name(key), epoch), mark.Writer[:], millis(ttl), mostWriters)
	switch {
	case errors.Is(err, cache.ErrOutcomeUnknown): // whether it is the only writer, too
		return mark, err
	case err != nil:
		return cache.WriteMark{}, err
	case a.number(0) == 1:
		mark.Epoch = epoch
	}
	return mark, nil
}

// EndWrite ends a write: one script. See cache.WriteMarker.
func (c *Cache) EndWrite(ctx context.Context, key string, mark cache.WriteMark) error {
	const op = "end_write"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	if mark.Writer == [16]byte{} {
		return failed(op, key, cache.ErrInvalidMark)
	}
	c.coordinator.Invalidate(key)
	defer c.coordinator.Invalidate(key)
	_, err := c.runScript(ctx, op, key, endWriteScript, transport.Write, endArgs(c.name(key), mark, nil)...)
	return err
}

// endArgs are the arguments of the script that ends a write, after the digest. A
// nil value means that there is none to store.
func endArgs(name string, mark cache.WriteMark, value *prepared) []any {
	args := []any{markHeader(name, newVersion()), mark.Writer[:], mark.Epoch[:]}
	if value == nil {
		return append(args, "0", "0", "")
	}
	return append(args, millis(value.life.Initial()), millis(value.bound()), value.entry)
}

// markHeader returns what a mark with this epoch begins with; the script adds the
// writers.
func markHeader(name string, epoch envelope.ID) []byte {
	h := envelope.Header{Kind: envelope.Mark, ID: epoch}
	return envelope.Append(make([]byte, 0, envelope.HeaderSize), h, envelope.Digest(name), nil)
}

// invalidation is the command that removes what is under the full key name, of
// whatever kind. Only a write mark stands, with another epoch.
func invalidation(ctx context.Context, name string) *transport.ScriptCmd {
	return invalidateScript.Cmd(ctx, name, markHead, markHeader(name, newVersion()))
}

// noteRemoved counts what an invalidation removed.
func (c *Cache) noteRemoved(cmd *transport.ScriptCmd) error {
	n, err := cmd.Int()
	if err == nil {
		c.removes.Add(uint64(n))
	}
	return err
}
