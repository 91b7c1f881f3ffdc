package patterns

import (
	"context"
	"errors"
	"slices"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/keys"
)

// dependently writes changes to the source, by apply, which returns an error for
// each. If others depend on the entities it goes as a write of a CacheAside does (see
// writer): a mark says that the entities are being written, what they looked like is
// read, the guards of all tokens are marked, the tokens expire, the source is
// written, the tokens expire again, and the marks end.
//
// The entities' entries stay, for the queue has their new values already: the marks
// of their writes are on keys of their own.
func (w *WriteBehind[K, V]) dependently(ctx context.Context, changes []Change[K, V], apply func(ctx context.Context) []error) []error {
	if w.entity.Dependents == nil {
		return apply(ctx)
	}
	d := &dependents[K, V]{WriteBehind: w}
	if err := d.guard(ctx, changes); err != nil {
		return slices.Repeat([]error{err}, len(changes))
	}
	errs := apply(ctx)
	if slices.ContainsFunc(errs, func(err error) bool { return outcomeOf(err) == unknown }) {
		d.abandon(ctx)
		return errs
	}
	if err := d.end(ctx); err != nil {
		w.failed(ctx, err) // the marks stand as long as they can
	}
	return errs
}

// dependents are what shows entities that are being written.
type dependents[K comparable, V any] struct {
	*WriteBehind[K, V]
	writes *cache.Writing // of the entities
	guards *cache.Writing // of what depends on them
	marked []string       // the keys of writes
	tokens []cache.Token  // of what depends on them
	shown  []cache.Token  // of what depends on them as they are to be
}

// guard makes sure that nothing that shows these entities from before is stored. An
// error means that the source must not be written.
func (d *dependents[K, V]) guard(ctx context.Context, changes []Change[K, V]) (err error) {
	for _, c := range changes {
		d.marked = append(d.marked, keys.With(flushPart, c.Key))
	}
	opts := d.markOptions()
	if d.writes, err = d.mark(ctx, opts, d.marked); err != nil {
		return err
	}
	if err := d.look(ctx, changes); err != nil {
		return errors.Join(err, d.writes.End(ctx))
	}
	if d.guards, err = d.mark(ctx, guarding(opts), guardKeys(d.tokens)); err != nil {
		return errors.Join(err, d.writes.End(ctx))
	}
	_ = d.regions.ExpireTokens(ctx, d.tokens...) // it is done again at the end
	return nil
}

// markOptions make marks stand for as long as any write of the source may take: a
// worker's has a batch's visibility, that of a caller whom the queue had no room for
// the default.
func (d *dependents[K, V]) markOptions() cache.WriteOptions {
	return cache.WriteOptions{MarkTTL: max(d.opts.Visibility, cache.DefaultMarkTTL)}
}

func (d *dependents[K, V]) mark(ctx context.Context, opts cache.WriteOptions, keys []string) (*cache.Writing, error) {
	w, err := cache.NewWriting(d.cache, opts)
	if err != nil {
		return nil, err
	}
	if err := w.Mark(ctx, keys...); err != nil {
		return nil, errors.Join(err, w.End(ctx))
	}
	return w, nil
}

// look finds out what depends on the entities as they are in the source, and as they
// will be. Writers who mark them later look later.
func (d *dependents[K, V]) look(ctx context.Context, changes []Change[K, V]) (err error) {
	defer recoverInto(&err)
	ids := make([]K, len(changes))
	for i, c := range changes {
		ids[i] = c.ID
	}
	old, err := d.source.findMany(ctx, ids)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if c.Deleted {
			continue
		}
		v := c.Value
		if before, ok := old[c.ID]; ok && d.opts.Merge != nil && !c.Fresh {
			v = d.opts.Merge(before, v)
		}
		d.shown = d.entity.dependents(d.shown, c.ID, v)
	}
	d.tokens = slices.Clone(d.shown)
	for id, v := range old {
		d.tokens = d.entity.dependents(d.tokens, id, v)
	}
	return cache.CheckTokens(d.tokens)
}

// abandon leaves writes that nobody knows the outcome of, and that may happen yet, to
// their marks: until those have run out no list that shows the entities is stored.
func (d *dependents[K, V]) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cache.DefaultEndTimeout)
	defer cancel()
	_ = d.regions.ExpireTokens(ctx, d.tokens...) // what could not be marked is dropped at least
}

// end tells the cache whatever became of ctx: the source was written. If others may
// still be writing these entities, who do not know perhaps what depends on what was
// written here, that stays guarded until they must be done.
func (d *dependents[K, V]) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cache.DefaultEndTimeout)
	defer cancel()
	if err := d.regions.ExpireTokens(ctx, d.tokens...); err != nil {
		return err
	}
	if err := d.writes.End(ctx); err != nil {
		return err
	}
	if leaser, ok := cache.As[cache.Leaser](d.cache); ok && len(d.shown) > 0 && anyMarked(ctx, leaser, d.marked) {
		_, _ = d.mark(ctx, d.markOptions(), guardKeys(d.shown)) // left to run out; without a cache no list is stored
	}
	return d.guards.End(ctx)
}

// flushPart begins the key whose write mark says that an entity is being written to
// the source.
const flushPart = "larder.flushing"
