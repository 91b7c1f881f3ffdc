package patterns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/keys"
)

// writer is what the wrappers that write have in common. A write of theirs, or a
// transaction of several, goes so:
//
//  1. The entity's entry is marked. If others depend on it, what it looked like is
//     read from the source.
//  2. What guards its dependents is marked. From here on neither it nor a Query that
//     depends on it is stored, in no process.
//  3. The dependents' tokens expire: what was loaded before is gone.
//  4. The source is written, and committed.
//  5. The new value is stored in the step that ends the entry's mark, or nothing is.
//  6. The tokens expire once more: who comes now joins no load that began before.
//  7. The other marks end, unless another writer of the entity is under way, who
//     perhaps does not know of all dependents: then they are prolonged.
//
// A process that dies anywhere leaves marks, which run out, and nothing that they
// guard; so does one whose outcome is unknown, since the source may still commit it.
// What guards the dependents then stands for twice the time: see guarding.
// If the cache cannot be reached steps 1 to 3 are left out, unless the write is
// strict, and what remains of the others is reported. With Entity.Intents what was
// left out is noted in the source's transaction, before it is written.
type writer[K comparable, V any] struct {
	*reader[K, V]
	regions cache.Regions
	source  Transactor // nil: the source has none, or it is not used
	store   bool       // whether the new value is stored
	alone   bool       // whether the cache cannot void loads, and only loading can
	opts    cache.WriteOptions
	mend    func(ctx context.Context, again func(context.Context) error, err error) error // what to do about a cache that was not told
}

// unit is a writer's part in a transaction.
type unit[K comparable, V any] struct {
	*writer[K, V]
	writing *cache.Writing  // of the entities
	guards  *cache.Writing  // of what depends on them
	changed []changed[K, V] // the last of each id
	tokens  []cache.Token   // of what depends on them
	shown   []cache.Token   // of what depends on them as they are to be
	open    bool            // whether tokens have still to expire after the commit
	untold  bool            // whether the cache could not be told all that it is to know before the write
}

type changed[K comparable, V any] struct {
	id    K
	value V
	keep  bool // whether value is to be stored
	opts  cache.EntryOptions
}

// guarding returns the options of the marks that guard dependents, for a write with
// these. A writer that dies after its commit, or that does not know of it, cannot
// prolong them (see unit.overlapped), and another that it overlapped, and that does not
// know of these dependents, may have begun just before that commit: it takes as long
// again. That holds for writers whose marks have one TTL.
func guarding(opts cache.WriteOptions) cache.WriteOptions {
	if opts.MarkTTL == 0 {
		opts.MarkTTL = cache.DefaultMarkTTL
	}
	opts.MarkTTL = 2 * min(opts.MarkTTL, math.MaxInt64/2)
	return opts
}

func (w *writer[K, V]) begin() (participant, error) {
	opts := w.opts
	opts.Strict = opts.Strict || w.entity.Intents != nil // to hear of what cannot be marked
	writing, err := cache.NewWriting(w.cache, opts)
	if err != nil {
		return nil, err
	}
	guards, err := cache.NewWriting(w.cache, guarding(opts))
	if err != nil {
		return nil, err
	}
	return &unit[K, V]{writer: w, writing: writing, guards: guards}, nil
}

// transact runs do as a part of the transaction of ctx, or in one of its own.
func (w *writer[K, V]) transact(ctx context.Context, do func(ctx context.Context, u *unit[K, V]) error) error {
	return transact(ctx, work{w, w.begin, w.source, func(ctx context.Context, p participant) error {
		return do(ctx, p.(*unit[K, V]))
	}})
}

func (w *writer[K, V]) save(ctx context.Context, id K, v V) error {
	return w.transact(ctx, func(ctx context.Context, u *unit[K, V]) error {
		return u.save(ctx, u.change(id, v))
	})
}

func (u *unit[K, V]) save(ctx context.Context, c changed[K, V]) error {
	if err := u.guard(ctx, []K{c.id}, map[K]V{c.id: c.value}); err != nil {
		return err
	}
	u.note(c)
	return u.inner.Save(ctx, c.id, c.value)
}

// change describes the entity that v becomes.
func (u *unit[K, V]) change(id K, v V) changed[K, V] {
	c := changed[K, V]{id: id, value: v}
	if u.store {
		c.opts, c.keep = u.entity.options(id, v)
	}
	return c
}

func (w *writer[K, V]) saveMany(ctx context.Context, values map[K]V) error {
	return w.transact(ctx, func(ctx context.Context, u *unit[K, V]) error {
		ids := make([]K, 0, len(values))
		for id := range values {
			ids = append(ids, id)
		}
		if err := u.guard(ctx, ids, values); err != nil {
			return err
		}
		for id, v := range values {
			u.note(u.change(id, v))
		}
		if saver, ok := w.inner.(ManySaver[K, V]); ok {
			return saver.SaveMany(ctx, values)
		}
		for id, v := range values {
			if err := w.inner.Save(ctx, id, v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (w *writer[K, V]) delete(ctx context.Context, id K) error {
	return w.transact(ctx, func(ctx context.Context, u *unit[K, V]) error {
		if err := u.guard(ctx, []K{id}, nil); err != nil {
			return err
		}
		u.note(changed[K, V]{id: id})
		return w.inner.Delete(ctx, id)
	})
}

// guard makes sure that nothing of these entities, which are to get these values,
// is stored or served from before the write. An error means that the source must
// not be written.
func (u *unit[K, V]) guard(ctx context.Context, ids []K, values map[K]V) error {
	marked := make([]string, len(ids))
	for i, id := range ids {
		marked[i] = u.key(id)
	}
	if err := u.mark(ctx, u.writing, marked); err != nil {
		return err
	}
	var tokens []cache.Token
	if u.entity.Dependents != nil {
		var err error
		if tokens, err = u.guardDependents(ctx, ids, values); err != nil {
			return err
		}
	}
	return u.intend(ctx, marked, tokens)
}

// guardDependents is guard for what depends on the entities, which are marked. It
// returns the tokens of that.
func (u *unit[K, V]) guardDependents(ctx context.Context, ids []K, values map[K]V) ([]cache.Token, error) {
	old, err := findMany(ctx, u.inner, ids) // under the marks: see overlapped
	if err != nil {
		return nil, err
	}
	var tokens []cache.Token
	for id, v := range values {
		tokens = u.entity.dependents(tokens, id, v)
	}
	shown := len(tokens)
	for id, v := range old {
		tokens = u.entity.dependents(tokens, id, v)
	}
	if err := cache.CheckTokens(tokens); err != nil {
		return nil, err
	}
	if err := u.mark(ctx, u.guards, guardKeys(tokens)); err != nil {
		return nil, err
	}
	for _, t := range tokens[:shown] {
		u.shown = appendToken(u.shown, t)
	}
	for _, t := range tokens {
		u.tokens = appendToken(u.tokens, t)
	}
	err = u.expire(ctx, tokens)
	if u.opts.Strict && errors.Is(err, cache.ErrOutcomeUnknown) && ctx.Err() == nil { // of the expiration; the write's is known
		return nil, fmt.Errorf("%w: what depends on the entity could not be expired", cache.ErrUnavailable)
	}
	if u.opts.Strict || ctx.Err() != nil {
		return tokens, err
	}
	u.untold = u.untold || err != nil // it is tried again after the commit
	return tokens, nil
}

func (u *unit[K, V]) expire(ctx context.Context, tokens []cache.Token) error {
	if len(tokens) == 0 {
		return nil
	}
	return u.regions.ExpireTokens(ctx, tokens...)
}

// note keeps what is to be told about an entity.
func (u *unit[K, V]) note(c changed[K, V]) {
	for i := range u.changed {
		if u.changed[i].id == c.id {
			u.changed[i] = c
			return
		}
	}
	u.changed = append(u.changed, c)
}

func (u *unit[K, V]) owner() any { return u.writer }

func (u *unit[K, V]) until() time.Time { return u.writing.Until() }

// ready asks a strict write's cache once more whether it is there.
func (u *unit[K, V]) ready(ctx context.Context) error {
	if !u.opts.Strict || len(u.changed) == 0 {
		return nil
	}
	_, _, err := u.cache.Get(ctx, u.key(u.changed[0].id))
	return err
}

func (u *unit[K, V]) end(ctx context.Context, o outcome) error {
	u.open = len(u.tokens) > 0
	if o == unknown && len(u.changed) > 0 {
		return u.abandon(ctx)
	}
	err := u.tell(ctx, o == committed)
	if err == nil || o != committed {
		return nil // what did not happen leaves nothing behind but marks
	}
	return u.mend(ctx, func(ctx context.Context) error { return u.tell(ctx, false) }, err)
}

// abandon leaves a write whose outcome nobody knows, and that may happen yet, to its
// marks: until they have run out nothing that they guard is stored. What could not
// be marked is removed. Its errors add nothing to the write's own.
func (u *unit[K, V]) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.endTimeout())
	defer cancel()
	for _, c := range u.changed {
		_ = u.loading.Remove(ctx, c.id) // it lets marks stand
	}
	_ = u.expire(ctx, u.tokens)
	return nil
}

// tell tells the cache of the outcome, and may be repeated. Only a write that is
// certain stores values.
func (u *unit[K, V]) tell(ctx context.Context, store bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), u.endTimeout())
	defer cancel()
	var errs []error
	if store {
		for _, c := range u.changed {
			if c.keep {
				errs = append(errs, u.loading.Typed().EndWriting(ctx, u.writing, u.key(c.id), c.value, c.opts))
			}
		}
	}
	if u.alone {
		for _, c := range u.changed {
			errs = append(errs, u.loading.Remove(ctx, c.id))
		}
	}
	if u.open {
		err := u.expire(ctx, u.tokens)
		u.open = err != nil
		errs = append(errs, err)
	}
	if u.open { // the marks of the tokens must stand as long as they can
		return errors.Join(errs...)
	}
	if err := u.writing.End(ctx); err != nil {
		return err
	}
	if u.overlapped(ctx) {
		u.prolong(ctx)
	}
	return u.guards.End(ctx)
}

// overlapped reports whether others may still be writing these entities. They have
// looked at the source perhaps before it had what is written here, and then do not
// know what depends on that. Who begins later looks later.
func (u *unit[K, V]) overlapped(ctx context.Context) bool {
	leaser, ok := cache.As[cache.Leaser](u.cache)
	if !ok || len(u.shown) == 0 {
		return false
	}
	written := make([]string, len(u.changed))
	for i, c := range u.changed {
		written[i] = u.key(c.id)
	}
	return anyMarked(ctx, leaser, written)
}

// prolong marks what depends on the entities as they are now for as long as others
// that overlap may write them. These marks are left to run out.
func (u *unit[K, V]) prolong(ctx context.Context) {
	opts := u.opts
	opts.Strict = false
	if longer, err := cache.NewWriting(u.cache, opts); err == nil {
		_ = longer.Mark(ctx, guardKeys(u.shown)...) // without a cache no list is stored
	}
}

func (u *unit[K, V]) endTimeout() time.Duration {
	if u.opts.EndTimeout > 0 {
		return u.opts.EndTimeout
	}
	return cache.DefaultEndTimeout
}

// guardKey returns the key whose write mark says that what depends on t is being
// written.
func guardKey(t cache.Token) string {
	region, _ := t.Region()
	if key, ok := t.Key(); ok {
		return keys.With(guardPart, region, key)
	}
	return keys.With(guardPart, region)
}

func guardKeys(tokens []cache.Token) []string {
	guards := make([]string, len(tokens))
	for i, t := range tokens {
		guards[i] = guardKey(t)
	}
	return guards
}

// anyMarked reports whether one of keys may be marked. The leases that it takes to
// find out run out at once.
func anyMarked(ctx context.Context, leaser cache.Leaser, keys []string) bool {
	replies, err := leaser.LeaseMany(ctx, keys, time.Millisecond)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(replies, func(r cache.LeaseReply) bool {
		return r.Err != nil || r.State == cache.LeaseMarked || r.State == cache.LeaseRefused
	})
}

const guardPart = "larder.writing"
