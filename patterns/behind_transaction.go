package patterns

import (
	"context"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
)

// postponed is the part of a WriteBehind in a transaction: its writes, which go
// into the queue after the commit.
type postponed[K comparable, V any] struct {
	*WriteBehind[K, V]
	writes  []record[K, V]
	entered bool // Close waits for them
}

func (w *WriteBehind[K, V]) postpone(t *transaction, r record[K, V]) error {
	if _, err := w.records.encode(r); err != nil { // while the transaction can still be rolled back
		return &cache.OpError{Op: "save", Key: w.entity.Key(r.id), Err: err}
	}
	p, err := t.join(w, func() (participant, error) { return &postponed[K, V]{WriteBehind: w}, nil })
	if err != nil {
		return err
	}
	mine := p.(*postponed[K, V])
	mine.writes = append(mine.writes, r)
	return nil
}

// pending returns what was written with ctx and is not in the queue yet; nil
// outside of a transaction.
func (w *WriteBehind[K, V]) pending(ctx context.Context) *postponed[K, V] {
	t := transactionOf(ctx)
	if t == nil {
		return nil
	}
	for _, p := range t.all() {
		if mine, ok := p.(*postponed[K, V]); ok && mine.WriteBehind == w {
			return mine
		}
	}
	return &postponed[K, V]{WriteBehind: w}
}

// find is FindMany in the transaction: it sees its own writes, and caches
// nothing.
func (p *postponed[K, V]) find(ctx context.Context, ids []K) (map[K]V, error) {
	found, _, err := p.loadMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	asked := make(map[K]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	for _, r := range p.writes {
		before, has := found[r.id]
		switch {
		case !asked[r.id]:
		case !r.has:
			delete(found, r.id)
		case has && p.opts.Merge != nil:
			found[r.id] = p.opts.Merge(before, r.value)
		default:
			found[r.id] = r.value
		}
	}
	return found, nil
}

func (p *postponed[K, V]) owner() any { return p.WriteBehind }

// ready refuses the commit if the writes cannot follow it, and from then on keeps
// Close waiting for them.
func (p *postponed[K, V]) ready(context.Context) error {
	if p.entered = p.entered || p.enter(); !p.entered {
		return cache.ErrClosed
	}
	return nil
}

func (p *postponed[K, V]) until() time.Time { return time.Time{} }

// end puts the writes into the queue, each whatever became of the others, and even if
// ctx has ended by now: they are committed.
func (p *postponed[K, V]) end(ctx context.Context, o outcome) error {
	if o != committed {
		if p.entered {
			p.leave()
		}
		return nil
	}
	if err := p.ready(ctx); err != nil { // without a Transactor nobody has asked
		return err
	}
	defer p.leave()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	var errs []error
	for _, r := range p.writes {
		errs = append(errs, p.acceptEntered(ctx, r))
	}
	return errors.Join(errs...)
}
