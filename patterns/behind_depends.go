package patterns

import (
	"context"
	"errors"

	"github.com/larder-go/larder/cache"
)

// apply writes the batch to the source. If others depend on the entities it goes
// as a write of a CacheAside does (see writer): what looked like before is read,
// the guards of all tokens are marked, the tokens expire, the source is written,
// the tokens expire again, and the marks end.
func (b *behindBatch[K, V]) apply(ctx context.Context) []error {
	if b.entity.Dependents == nil {
		return b.source.apply(ctx, b.changes)
	}
	tokens, err := b.tokens(ctx)
	if err != nil {
		return repeated(err, len(b.changes))
	}
	writing, err := cache.NewWriting(b.cache, cache.WriteOptions{MarkTTL: b.opts.Visibility})
	if err != nil {
		return repeated(err, len(b.changes))
	}
	marks := make([]string, len(tokens))
	for i, t := range tokens {
		marks[i] = guardKey(t)
	}
	if err := writing.Mark(ctx, marks...); err != nil {
		return repeated(errors.Join(err, writing.End(ctx)), len(b.changes))
	}
	_ = b.regions.ExpireTokens(ctx, tokens...) // it is done again below
	errs := b.source.apply(ctx, b.changes)
	if err := b.expire(ctx, tokens); err != nil {
		b.failed(ctx, err)
		return errs // the marks stand as long as they can
	}
	if err := writing.End(ctx); err != nil {
		b.failed(ctx, err)
	}
	return errs
}

// expire expires the tokens whatever became of ctx: the source was written.
func (b *behindBatch[K, V]) expire(ctx context.Context, tokens []cache.Token) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cache.DefaultEndTimeout)
	defer cancel()
	return b.regions.ExpireTokens(ctx, tokens...)
}

// tokens returns what depends on the entities as they are in the source, and as
// they will be.
func (b *behindBatch[K, V]) tokens(ctx context.Context) (tokens []cache.Token, err error) {
	defer recoverInto(&err)
	ids := make([]K, len(b.changes))
	for i, c := range b.changes {
		ids[i] = c.ID
	}
	old, err := b.source.findMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	for id, v := range old {
		tokens = b.entity.dependents(tokens, id, v)
	}
	for _, c := range b.changes {
		if c.Deleted {
			continue
		}
		v := c.Value
		if before, ok := old[c.ID]; ok && b.opts.Merge != nil && !c.Fresh {
			v = b.opts.Merge(before, v)
		}
		tokens = b.entity.dependents(tokens, c.ID, v)
	}
	return tokens, cache.CheckTokens(tokens)
}

func repeated(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
