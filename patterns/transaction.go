package patterns

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// transaction is a change of the source that is under way: one write, or all
// that Transact's function does through whatever wrappers. It travels in the
// context. What the caches are told of the outcome waits until it has ended.
type transaction struct {
	mu    sync.Mutex
	parts []participant // in the order in which they joined
}

// participant is what one wrapper has to do in a transaction.
type participant interface {
	// owner is the wrapper, as an identity.
	owner() any
	// ready is called before the commit, which an error prevents.
	ready(ctx context.Context) error
	// end is called afterwards, in any case.
	end(ctx context.Context, o outcome) error
	// until is when the commit must be over.
	until() time.Time
}

// outcome is what became of a transaction.
type outcome uint8

const (
	rolledBack outcome = iota // nothing was written, or nothing more will be
	committed
	unknown // it may have been written, or may be yet
)

// outcomeOf returns what became of a transaction that ended with err. A context that
// ends while the source is at work leaves that open.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return committed
	case errors.Is(err, cache.ErrOutcomeUnknown), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unknown
	}
	return rolledBack
}

type transactionKey struct{}

// state is what a context says of its transaction. It is open inside the source's
// own one; before, wrappers are opening it for the outermost.
type state struct {
	*transaction
	open bool
}

func stateOf(ctx context.Context) state {
	s, _ := ctx.Value(transactionKey{}).(state)
	return s
}

// transactionOf returns the open transaction that ctx belongs to, or nil.
func transactionOf(ctx context.Context) *transaction {
	if s := stateOf(ctx); s.open {
		return s.transaction
	}
	return nil
}

func (t *transaction) context(ctx context.Context, open bool) context.Context {
	ctx = context.WithValue(ctx, transactionKey{}, state{t, open})
	if open {
		return cache.InTransaction(ctx)
	}
	return ctx
}

// join returns the participant of owner, which begin makes if there is none yet.
func (t *transaction) join(owner any, begin func() (participant, error)) (participant, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.parts {
		if p.owner() == owner {
			return p, nil
		}
	}
	p, err := begin()
	if err == nil {
		t.parts = append(t.parts, p)
	}
	return p, err
}

func (t *transaction) all() []participant {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.parts[:len(t.parts):len(t.parts)]
}

// work is what a wrapper does as a part of a transaction.
type work struct {
	owner  any                         // the wrapper
	begin  func() (participant, error) // makes its part
	source Transactor                  // opens the source's own transaction; nil: it has none
	do     func(context.Context, participant) error
}

// transact runs w in the transaction that ctx belongs to, or else in one that is
// over when it returns.
func transact(ctx context.Context, w work) (err error) {
	if err := cache.CheckContext(ctx); err != nil {
		return err
	}
	s := stateOf(ctx)
	if s.transaction != nil {
		p, err := s.join(w.owner, w.begin)
		if err != nil {
			return err
		}
		if s.open {
			return w.do(ctx, p)
		}
		return s.run(ctx, p, w)
	}
	p, err := w.begin()
	if err != nil {
		return err
	}
	t := &transaction{parts: []participant{p}}
	within := t.context(ctx, false)
	if until := p.until(); !until.IsZero() {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadline(within, until)
		defer cancel()
	}
	became := rolledBack // by a panic
	defer func() {
		if endErr := t.end(ctx, became); became == committed {
			err = endErr
		}
	}()
	err = t.run(within, p, w)
	became = outcomeOf(err)
	return err
}

// run opens the source's transaction, and in it does the work.
func (t *transaction) run(ctx context.Context, p participant, w work) error {
	if w.source == nil {
		return w.do(t.context(ctx, true), p)
	}
	return w.source.Transact(ctx, func(ctx context.Context) error {
		if stateOf(ctx).open {
			return w.do(ctx, p) // a wrapper below has opened it
		}
		ctx = t.context(ctx, true)
		if err := w.do(ctx, p); err != nil {
			return err
		}
		return t.ready(ctx)
	})
}

// ready reports whether the source may commit.
func (t *transaction) ready(ctx context.Context) error {
	for _, p := range t.all() {
		if until := p.until(); !until.IsZero() && !time.Now().Before(until) {
			return context.DeadlineExceeded // the marks may be gone
		}
		if err := p.ready(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// end tells all caches of the outcome, the innermost wrapper's first.
func (t *transaction) end(ctx context.Context, o outcome) error {
	var errs []error
	for _, p := range slices.Backward(t.all()) {
		errs = append(errs, p.end(ctx, o))
	}
	if err := errors.Join(errs...); err != nil {
		return &cache.CommittedError{Err: err}
	}
	return nil
}
