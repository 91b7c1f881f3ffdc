package distributed

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
)

// leaseAll asks for leases in one round trip per node, and with it for the
// moment once regions are tracked. Values whose regions have expired take two
// more: for the generations, and for the leases in their places.
//
// The moment is read before any of the loads begins, in whatever order the
// servers answer: that is all that it has to be.
func (c *Cache) leaseAll(ctx context.Context, asked []*asking) ([]cache.LeaseReply, []error) {
	if len(asked) == 0 {
		return nil, nil
	}
	b := newBatch(len(asked) + 1)
	for i, a := range asked {
		b.add(i, a.name, a.cmd)
	}
	var epoch *redis.StringCmd
	if c.tracking.Load() {
		epoch = c.momentCmd(ctx)
		b.add(len(asked), c.generations.epoch, epoch)
	}
	errs := c.sendLeases(ctx, b, asked)
	replies := make([]cache.LeaseReply, len(asked))
	for i, a := range asked {
		replies[i], errs[i] = c.leaseReply(ctx, a, errs[i])
	}
	c.takeExpired(ctx, asked, replies, errs)
	if epoch != nil {
		c.addMoment(ctx, epoch, errs[len(asked)], asked, replies, errs)
	}
	return replies, errs[:len(asked)]
}

// addMoment completes the replies. Without a moment nobody could tell whether
// what is loaded may be stored, so then the leases are given back.
func (c *Cache) addMoment(ctx context.Context, epoch *redis.StringCmd, err error, asked []*asking, replies []cache.LeaseReply, errs []error) {
	var raw []byte
	if err == nil {
		raw, err = epoch.Bytes()
	}
	m, err := c.momentOf(ctx, raw, readError(ctx, err))
	for i := range replies {
		if err == nil {
			replies[i].Moment = m
			continue
		}
		if errs[i] == nil && replies[i].State == cache.LeaseGranted {
			c.forgetLease(asked[i])
		}
		replies[i] = cache.LeaseReply{}
		errs[i] = errors.Join(errs[i], err)
	}
}

// readError is the error of a read that was sent along with writes: of its own
// outcome nothing is unknown.
func readError(ctx context.Context, err error) error {
	if !errors.Is(err, cache.ErrOutcomeUnknown) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %v", cache.ErrUnavailable, err)
}

// takeArgs is what the take script is told to replace e by the lease.
func (a *asking) takeArgs(e entry) []any { return []any{e.header.ID[:], a.entry, a.px} }

// takeExpired puts leases in the places of the values that were found but whose
// regions have expired, if they are still there.
func (c *Cache) takeExpired(ctx context.Context, asked []*asking, replies []cache.LeaseReply, errs []error) {
	entries := make([]entry, 0, len(asked))
	at := make([]int, 0, len(asked))
	for i, a := range asked {
		if errs[i] == nil && a.found.stamps != nil {
			entries, at = append(entries, a.found), append(at, i)
		}
	}
	judged := make([]error, len(entries))
	c.judgeAll(ctx, entries, judged)
	b := newBatch(0)
	for j, i := range at {
		a := asked[i]
		switch {
		case judged[j] != nil:
			replies[i], errs[i] = cache.LeaseReply{}, judged[j]
		case entries[j].state == isExpired:
			b.add(i, a.name, takeScript.Cmd(ctx, a.name, a.takeArgs(entries[j])...))
		}
	}
	for j, err := range c.send(ctx, b, transport.Write) {
		i := b.index[j]
		replies[i], errs[i] = c.takeReply(asked[i], b.cmds[j].(*transport.ScriptCmd), err)
	}
}

// takeReply tells what the take script's answer means.
func (c *Cache) takeReply(a *asking, cmd *transport.ScriptCmd, err error) (cache.LeaseReply, error) {
	text := func() (string, error) { return cmd.Text() } // looked at only if there is an answer
	there, isThere, reply, err := c.answered(a, text, err)
	if !isThere {
		return reply, err
	}
	reply = decode(a.name, []byte(there)).reply()
	if reply.State == cache.LeaseFree { // damaged: the next call takes it
		reply.State = cache.LeaseRefused
	}
	return reply, nil
}
