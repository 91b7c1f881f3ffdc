package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

// errBudget is the cause of a call that ran out of its time.
var errBudget = errors.New("time budget spent")

// admit returns the node of key if it may be asked now.
func (t *Transport) admit(ctx context.Context, key string) (*node, error) {
	if err := cache.CheckContext(ctx); err != nil {
		return nil, err
	}
	n, err := t.routes.node(ctx, key)
	if err == nil && n.guard.State() != breaker.Closed {
		t.rejected.Add(1)
		t.routes.failed(unsent)
		err = errOpen
	}
	if err != nil && t.isClosed() {
		return nil, cache.ErrClosed
	}
	return n, err
}

// run makes the round trip of c, alone or with others, and waits until it is
// through. See verdict.
func (t *Transport) run(ctx context.Context, n *node, c *call, kind Kind) (through bool, err error) {
	over, ok := n.submit(ctx, c, true)
	switch {
	case !ok:
		return false, t.refusal()
	case over:
		return landed(ctx, c, kind)
	}
	return await(ctx, c, kind)
}

// refusal is the error of a call that a closed node refused.
func (t *Transport) refusal() error {
	if t.isClosed() {
		return cache.ErrClosed
	}
	return unavailable(errNodeGone)
}

// await waits until c is through, its context ends or its time is up. See
// verdict. Watching two channels costs a good part of what a shared round trip
// does, so it looks at the context only once the node's sweep says that c is slow.
func await(ctx context.Context, c *call, kind Kind) (through bool, err error) {
	if <-c.done == isOver {
		return verdict(ctx, c, kind)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if !c.end(stateGone, stateGoneTaken) {
			<-c.done
		}
	}
	return verdict(ctx, c, kind)
}

// landed is await for a call that was made directly.
func landed(ctx context.Context, c *call, kind Kind) (through bool, err error) {
	if through, err = verdict(ctx, c, kind); through {
		<-c.done
	}
	return through, err
}

// verdict reports whether c, which is in a last state, is through. If not, the
// error says what that means for its commands, and c must not be used again.
func verdict(ctx context.Context, c *call, kind Kind) (through bool, err error) {
	state, cause := c.state.Load(), errBudget
	if state == stateGone || state == stateGoneTaken {
		cause = ctx.Err()
	}
	switch {
	case state == stateThrough:
		return true, nil
	case kind == Write && (state == stateGoneTaken || state == stateLateTaken):
		return false, fmt.Errorf("%w: %w", cache.ErrOutcomeUnknown, cause)
	case cause == errBudget: //nolint:errorlint // ours
		return false, unavailable(cause)
	}
	return false, cause
}

// release makes a call that is through available to others.
func (t *Transport) release(c *call) {
	c.reset()
	t.calls.Put(c)
}

// result returns the error of a command that a lane is through with, after it
// followed a redirection.
func (t *Transport) result(ctx context.Context, start time.Time, cmd redis.Cmder, kind Kind, sent bool) error {
	err := cmd.Err()
	if err == nil {
		return t.answered(ctx, cmd.Name(), start, nil)
	}
	if t.routes.redirects(err) {
		sent = true
		err = t.redirect(ctx, start, cmd)
	}
	return t.settle(ctx, cmd.Name(), start, err, kind, sent)
}

// settle counts an error and returns it as the caller shall see it.
func (t *Transport) settle(ctx context.Context, op string, start time.Time, err error, kind Kind, sent bool) error {
	if err == nil || err == redis.Nil { //nolint:errorlint // the common case, told cheaply
		return t.answered(ctx, op, start, err)
	}
	if errors.Is(err, breaker.ErrOpen) {
		t.rejected.Add(1)
		return errOpen
	}
	f := faultOf(err)
	if f == none {
		return t.answered(ctx, op, start, err)
	}
	if !sent && f > unsent {
		f = unsent
	}
	t.routes.failed(f)
	return t.report(ctx, op, start, failure(kind, f, err))
}

// report counts an error that the caller shall see, unless it is about the
// caller itself.
func (t *Transport) report(ctx context.Context, op string, start time.Time, err error) error {
	if ctx.Err() != nil || errors.Is(err, cache.ErrClosed) {
		return err
	}
	t.failed.Add(1)
	if t.opts.OnCall != nil {
		t.opts.OnCall(ctx, op, time.Since(start), err)
	}
	return err
}

// answered tells of a command that was, and returns its err.
func (t *Transport) answered(ctx context.Context, op string, start time.Time, err error) error {
	if t.opts.OnCall != nil {
		t.opts.OnCall(ctx, op, time.Since(start), nil)
	}
	return err
}
