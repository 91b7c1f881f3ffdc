package transport

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// DoMany runs many commands of one key each, keys[i] being that of cmds[i], in
// one round trip per node, and returns an error per command as Do does. There
// is no atomicity across them; those of one key run in their order.
//
// A very large batch takes several round trips, one after the other, and each
// has a budget of its own.
func (t *Transport) DoMany(ctx context.Context, keys []string, cmds []redis.Cmder, kind Kind) []error {
	errs := make([]error, len(cmds))
	shares := make(map[*node]*share)
	var order []*share
	for i, cmd := range cmds {
		n, err := t.admit(ctx, keys[i])
		if err != nil {
			errs[i] = err
			continue
		}
		s := shares[n]
		if s == nil {
			s = &share{node: n}
			shares[n] = s
			order = append(order, s)
		}
		s.cmds, s.at = append(s.cmds, cmd), append(s.at, i)
	}
	for len(order) > 0 {
		for _, s := range order {
			s.queue(ctx, t, len(order) == 1)
		}
		left := order[:0]
		for _, s := range order {
			s.settle(ctx, t, kind, errs)
			if len(s.cmds) > 0 {
				left = append(left, s)
			}
		}
		order = left
	}
	return errs
}

// share is what one node gets of a DoMany.
type share struct {
	node *node
	cmds []redis.Cmder // not yet sent
	at   []int         // their places in the whole

	call   *call // under way
	direct bool  // or rather over already
	start  time.Time
}

// queue sends the next chunk on its way: directly only if it is alone, or the
// nodes would be asked one after the other.
func (s *share) queue(ctx context.Context, t *Transport, alone bool) {
	s.call, s.start = t.calls.Get().(*call), time.Now()
	s.call.start, s.call.cmds = s.start, chunk(s.cmds)
	for _, cmd := range s.call.cmds {
		s.call.size += sizeOf(cmd)
	}
	over, ok := s.node.submit(ctx, s.call, alone)
	if s.direct = over; !ok {
		s.call = nil
	}
}

// chunk returns how much of cmds goes in one round trip.
func chunk(cmds []redis.Cmder) []redis.Cmder {
	size := 0
	for i, cmd := range cmds {
		size += sizeOf(cmd)
		if i > 0 && (i >= maxBatch || size > maxBytes) {
			return cmds[:i:i]
		}
	}
	return cmds[:len(cmds):len(cmds)]
}

// settle waits for the chunk under way and fills in what became of it. If it
// got lost the rest is not sent.
func (s *share) settle(ctx context.Context, t *Transport, kind Kind, errs []error) {
	if s.call == nil {
		s.fail(ctx, t, errs, t.refusal())
		return
	}
	cmds := s.call.cmds
	at := s.at[:len(cmds)]
	s.cmds, s.at = s.cmds[len(cmds):], s.at[len(cmds):]
	wait := await
	if s.direct {
		wait = landed
	}
	through, err := wait(ctx, s.call, kind)
	if !through {
		for _, i := range at {
			errs[i] = t.report(ctx, "batch", s.start, err)
		}
		s.fail(ctx, t, errs, abandoned(ctx))
		return
	}
	sent := s.call.sent
	t.release(s.call)
	for i, cmd := range cmds {
		errs[at[i]] = t.result(ctx, s.start, cmd, kind, sent)
	}
}

// fail gives the commands that were not sent an error.
func (s *share) fail(ctx context.Context, t *Transport, errs []error, err error) {
	for _, i := range s.at {
		errs[i] = t.report(ctx, "batch", s.start, err)
	}
	s.cmds, s.at = nil, nil
}

// abandoned is the error of a command that was never sent, in a batch that was
// given up.
func abandoned(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return unavailable(errBudget)
}
