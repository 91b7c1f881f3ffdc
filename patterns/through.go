package patterns

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// WriteThrough is a repository that leaves each value it has written in the cache,
// so that the next reader finds it there. It is the pattern for what is read soon
// after it was written.
//
// # What is promised
//
// A read that starts after Save or Delete returned nil sees no older value, in any
// process; nor does a list that a Query cached. What a transaction writes is seen
// by nobody before its commit, and never if it is rolled back. If the process dies
// on the way, at any point after it could mark the entry, nothing stale is left: the
// write marks run out (30 seconds unless WriteThroughOptions.Write says otherwise, and
// twice that for the lists that show the entity) and until then readers are served by
// the source. If several processes write one entity at once none of their values is
// stored, but what the source has after all of them.
//
// A write that ends with cache.ErrOutcomeUnknown, or because its context has ended,
// may have happened, or may yet: its marks are left to run out, too.
//
// The value stored is the one that was handed to Save: if the source changes it
// (defaults, triggers) use CacheAside.
//
// # Without the cache
//
// If the cache cannot be reached writes go ahead, unless the policy is FailWrite,
// and the error tells if an entry may be stale. A cache that comes back with what it
// had before then shows the old value until the entry's TTL has passed. There are two
// ways to have none of that, also if the writer dies: FailWrite refuses the write, and
// Entity.Intents notes in the write's transaction what the cache has to be told; there
// the old value is shown from the cache's return to the next Replay of the notes.
//
// # Cost
//
// Beside the source's transaction two round trips; with Entity.Dependents five
// more, and the source is asked for the entity first. If others write an entity at
// the same time, lists that show it are not stored until the last of their marks has
// run out.
type WriteThrough[K comparable, V any] struct {
	*writer[K, V]
	unheard atomic.Uint64 // failures of the cache that the policy keeps quiet about
}

// CacheFailure says what a WriteThrough does if the cache fails.
type CacheFailure uint8

const (
	// Invalidate goes ahead without the cache if that cannot be reached before
	// the write: see WriteThrough for what that leaves. If it fails afterwards it is told to forget the entry; if that
	// fails, too, the error is cache.ErrCommittedCacheDegraded.
	Invalidate CacheFailure = iota
	// Continue is Invalidate without the error: failures are counted only, see
	// WriteThrough.Unheard.
	Continue
	// RetryCache is Invalidate, and tells the cache again and again, with a growing
	// random wait, for WriteThroughOptions.RetryFor.
	RetryCache
	// FailWrite refuses the write if the cache cannot be reached before the
	// commit, and rolls the transaction back. It needs a Transactor. A cache that
	// fails after that is cache.ErrCommittedCacheDegraded.
	FailWrite
)

// DefaultRetryFor is the RetryFor of zero WriteThroughOptions.
const DefaultRetryFor = 5 * time.Second

// WriteThroughOptions configure a WriteThrough. The zero value, and nil, mean the
// defaults.
type WriteThroughOptions struct {
	// WhenCacheFails is the policy. Zero: Invalidate.
	WhenCacheFails CacheFailure

	// RetryFor is how long RetryCache goes on, unless the caller's context ends
	// before. Zero: DefaultRetryFor.
	RetryFor time.Duration

	// Write tunes the write marks. Strict is set by FailWrite. Give all who write an
	// entity with Entity.Dependents the same MarkTTL: each guards its lists against
	// others for as long as it may take itself.
	Write cache.WriteOptions
}

var (
	_ Repository[int, int] = (*WriteThrough[int, int])(nil)
	_ ManyFinder[int, int] = (*WriteThrough[int, int])(nil)
	_ ManySaver[int, int]  = (*WriteThrough[int, int])(nil)
	_ Transactor           = (*WriteThrough[int, int])(nil)
)

// NewWriteThrough wraps inner; opts may be nil. The error wraps
// cache.ErrInvalidConfig, or is ErrComposition if inner caches already or
// acknowledges writes before the source has them.
func NewWriteThrough[K comparable, V any](c cache.Cache, inner Repository[K, V], entity Entity[K, V], opts *WriteThroughOptions) (*WriteThrough[K, V], error) {
	if opts == nil {
		opts = &WriteThroughOptions{}
	}
	w, err := newWriter(c, inner, entity, layerThrough)
	if err != nil {
		return nil, err
	}
	t := &WriteThrough[K, V]{writer: w}
	w.store = true
	w.opts = opts.Write
	w.source = transactorOf(inner)
	switch {
	case opts.WhenCacheFails > FailWrite:
		return nil, refuse("WriteThroughOptions.WhenCacheFails", uint8(opts.WhenCacheFails), "is unknown")
	case opts.RetryFor < 0:
		return nil, refuse("WriteThroughOptions.RetryFor", opts.RetryFor, "must not be negative")
	case opts.WhenCacheFails == FailWrite && w.source == nil:
		return nil, refuse("WriteThroughOptions.WhenCacheFails", "FailWrite", "needs a repository with transactions")
	case opts.WhenCacheFails == FailWrite:
		w.opts.Strict = true
	case opts.WhenCacheFails == Continue:
		w.mend = func(context.Context, func(context.Context) error, error) error {
			t.unheard.Add(1)
			return nil
		}
	case opts.WhenCacheFails == RetryCache:
		w.mend = retryFor(opts.RetryFor)
	}
	_, err = cache.NewWriting(c, w.opts)
	return t, err
}

// retryFor returns a mend that tells the cache again until it hears.
func retryFor(limit time.Duration) func(context.Context, func(context.Context) error, error) error {
	if limit == 0 {
		limit = DefaultRetryFor
	}
	return func(ctx context.Context, again func(context.Context) error, err error) error {
		deadline := time.Now().Add(limit)
		for pause := 10 * time.Millisecond; time.Now().Add(pause).Before(deadline); pause = min(2*pause, time.Second) {
			select {
			case <-time.After(pause/2 + rand.N(pause/2)):
			case <-ctx.Done():
				return err
			}
			if err = again(ctx); err == nil {
				return nil
			}
		}
		return err
	}
}

// Unheard returns how often the policy Continue has kept quiet about a cache that
// failed.
func (t *WriteThrough[K, V]) Unheard() uint64 { return t.unheard.Load() }

// Find is CacheAside.Find.
func (t *WriteThrough[K, V]) Find(ctx context.Context, id K) (V, error) {
	return t.loading.Get(ctx, id)
}

// FindMany is CacheAside.FindMany.
func (t *WriteThrough[K, V]) FindMany(ctx context.Context, ids []K) (map[K]V, error) {
	return t.loading.GetMany(ctx, ids)
}

// Save saves v in the source, in a transaction if that has them, and then stores
// it as the entry of id, with Entity.Options. See SaveFor for a lifetime of its own.
func (t *WriteThrough[K, V]) Save(ctx context.Context, id K, v V) error { return t.save(ctx, id, v) }

// SaveFor is Save with an entry that is kept as opts say.
func (t *WriteThrough[K, V]) SaveFor(ctx context.Context, id K, v V, opts cache.EntryOptions) error {
	if _, _, err := opts.Resolve(cache.EntryOptions{}, time.Now()); err != nil {
		return err
	}
	return t.transact(ctx, func(ctx context.Context, u *unit[K, V]) error {
		return u.save(ctx, changed[K, V]{id: id, value: v, keep: true, opts: opts})
	})
}

// SaveMany is Save for many, in one transaction.
func (t *WriteThrough[K, V]) SaveMany(ctx context.Context, values map[K]V) error {
	return t.saveMany(ctx, values)
}

// Delete deletes id in the source and removes its entry.
func (t *WriteThrough[K, V]) Delete(ctx context.Context, id K) error { return t.delete(ctx, id) }

// Transact runs do in one transaction of the source. Writes through this wrapper,
// or any other of this package, with the context that do is given belong to it:
// what the caches are told waits for its end. Reads with that context ask the
// source, and see what the transaction has written. An error or panic of do rolls
// back, and nothing of it is ever cached. Transactions do not nest: an inner one is
// a part of the outer. do must not write from several goroutines at once. The source's
// transaction must be begun here: what a transaction begun otherwise writes is cached
// too early; for its reads there is cache.InTransaction.
func (t *WriteThrough[K, V]) Transact(ctx context.Context, do func(ctx context.Context) error) error {
	return t.transactWith(ctx, do)
}

// Invalidate is CacheAside.Invalidate.
func (t *WriteThrough[K, V]) Invalidate(ctx context.Context, id K) error {
	return t.loading.Remove(ctx, id)
}

// Close is CacheAside.Close.
func (t *WriteThrough[K, V]) Close(ctx context.Context) error { return t.loading.Close(ctx) }
