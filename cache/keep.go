package cache

import (
	"context"
	"errors"
	"time"
)

// brought is what a load brought for one flight.
type brought[V any] struct {
	*object[V]
	entry *Entry
	err   error
	ran   bool // the loader was called
	took  time.Duration
}

// keep stores what a load brought if it may be stored, and else gives the right
// to do so back. The error is one for the callers, see stored.
func (t *Typed[V]) keep(by *Coordinator, f *flight, key string, r right, b brought[V], wanted bool) error {
	ctx := context.WithoutCancel(f.load.ctx)
	defer t.releaseGuard(ctx, key, r.guard)
	opts := t.entryOptions(b.object, b.entry, r.lease)
	depends := by.names(f, opts.Tokens, t.peeker != nil)
	store := wanted && !b.entry.NoStore
	fill := t.mayStore(ctx, by, f, key, r.lease, store || r.replace && b.outdates())
	var err error
	if fill {
		err = t.fill(ctx, by, f, key, r, b, store, opts, depends.since)
	}
	t.resolve(ctx, by, f, depends, fill && store, err)
	t.remember(ctx, by, f, r, b, err)
	return t.stored(ctx, by, key, r.lease, err)
}

// fill stores what was brought as the result of f, or if store is false removes
// what it was to refresh.
func (t *Typed[V]) fill(ctx context.Context, by *Coordinator, f *flight, key string, r right, b brought[V], store bool, opts EntryOptions, since Moment) (err error) {
	if store {
		if err := t.ageing(b.object, &opts, b.entry.Freshness, b.took, b.entry.ETag); err != nil {
			return err
		}
		if err := t.fillable(&opts, since); err != nil {
			return err
		}
	}
	if r.replace {
		return t.renew(ctx, by, f, key, b.object, r, store, opts)
	}
	if t.leaser != nil {
		return t.put(ctx, key, b.object, opts)
	}
	if !by.guardedFill(f, func() { err = t.put(ctx, key, b.object, opts) }) {
		return ErrInvalidated
	}
	return err
}

// fillable prepares the options of a fill with tokens, which must not count from
// now.
func (t *Typed[V]) fillable(opts *EntryOptions, since Moment) error {
	opts.Since = Moment{}
	if len(opts.Tokens) == 0 {
		return nil
	}
	opts.Since = since
	if err := t.checkTokens(opts.Tokens); err != nil {
		return err
	}
	if since != (Moment{}) {
		return nil
	}
	if err := opts.checkKeeping(); err != nil {
		return err
	}
	t.regions.TrackRegions()
	return ErrRegionExpired // for all that is known of what was before
}

// mayStore reports whether a load's result is to be stored. If not it gives the
// lease back.
func (t *Typed[V]) mayStore(ctx context.Context, by *Coordinator, f *flight, key string, lease Lease, wanted bool) bool {
	stale := by.isStale(f)
	if wanted && !stale {
		return true
	}
	if wanted {
		by.fillRefused(ctx, ErrInvalidated)
	}
	t.release(ctx, key, lease)
	return false
}

// stored settles an attempt to store. It returns the errors that the options
// which a loader set deserve; what else keeps the cache from storing is
// counted, for it must not fail a read.
func (t *Typed[V]) stored(ctx context.Context, by *Coordinator, key string, lease Lease, err error) error {
	if err == nil {
		return nil
	}
	by.fillRefused(ctx, err)
	if errors.Is(err, ErrLeaseLost) {
		by.leaseLost(ctx)
	} else {
		t.release(ctx, key, lease)
	}
	for _, theirs := range [...]error{ErrInvalidTTL, ErrInvalidConfig, ErrInvalidToken, errNoRegions, errNoRefresh} {
		if errors.Is(err, theirs) {
			return err
		}
	}
	return nil
}

// release gives a lease back, or leaves it to run out if that fails.
func (t *Typed[V]) release(ctx context.Context, key string, lease Lease) {
	if lease != (Lease{}) {
		_ = t.leaser.Release(ctx, key, lease)
	}
}

// releaseGuard gives the right to refresh key back.
func (t *Typed[V]) releaseGuard(ctx context.Context, key string, guard Lease) {
	if guard != (Lease{}) {
		t.release(ctx, guardKey(key), guard)
	}
}

func (t *Typed[V]) entryOptions(o *object[V], e *Entry, lease Lease) EntryOptions {
	opts := e.EntryOptions
	if o.negative {
		opts = EntryOptions{TTL: t.opts.NegativeTTL, Tokens: opts.Tokens}
	}
	opts = opts.Inherit(t.opts.Defaults)
	opts.Lease, opts.Mark = lease, WriteMark{}
	return opts
}
