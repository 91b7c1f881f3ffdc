package patterns

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
)

// Hooks are told of writes that have been committed: to publish events. They are
// called one after the other, in the order of the writes, by the goroutine that
// wrote, which waits for them; in a transaction after its commit, and never if it
// is rolled back. A hook must not fail the write, so it returns nothing, and its
// panic is contained. If the process dies between commit and hook, the hook is not
// called: an event that must not be lost belongs into the transaction (an outbox).
type Hooks[K comparable, V any] struct {
	OnSaved   func(ctx context.Context, id K, v V)
	OnDeleted func(ctx context.Context, id K)

	// OnPanic is told of a hook's panic. nil: nobody is. Its own panic is contained,
	// and nobody is told of that.
	OnPanic func(ctx context.Context, p any)
}

// Hooked is a repository whose committed writes are told to Hooks. Around a
// wrapper that caches, the cache has been told first; around the source, hooks are
// called before that; around a WriteBehind, when the queue has the write, and below
// one, when the source has it.
type Hooked[K comparable, V any] struct {
	inner Repository[K, V]
	hooks Hooks[K, V]
}

var (
	_ Repository[int, int] = (*Hooked[int, int])(nil)
	_ ManyFinder[int, int] = (*Hooked[int, int])(nil)
	_ ManySaver[int, int]  = (*Hooked[int, int])(nil)
	_ Transactor           = (*Hooked[int, int])(nil)
	_ Applier[int, int]    = (*Hooked[int, int])(nil)
)

// NewHooked wraps inner.
func NewHooked[K comparable, V any](inner Repository[K, V], hooks Hooks[K, V]) (*Hooked[K, V], error) {
	if inner == nil {
		return nil, refuse("inner", nil, "must not be nil")
	}
	return &Hooked[K, V]{inner: inner, hooks: hooks}, nil
}

// Find calls the repository below.
func (h *Hooked[K, V]) Find(ctx context.Context, id K) (V, error) { return h.inner.Find(ctx, id) }

// FindMany calls the repository below, one by one if it has no FindMany.
func (h *Hooked[K, V]) FindMany(ctx context.Context, ids []K) (map[K]V, error) {
	return findMany(ctx, h.inner, ids)
}

// Save saves v below, and then tells OnSaved.
func (h *Hooked[K, V]) Save(ctx context.Context, id K, v V) error {
	return h.after(ctx, h.inner.Save(ctx, id, v), h.saved(id, v))
}

// SaveMany saves the values below, one by one if that has no SaveMany, and then
// tells OnSaved of each.
func (h *Hooked[K, V]) SaveMany(ctx context.Context, values map[K]V) error {
	if saver, ok := h.inner.(ManySaver[K, V]); ok {
		calls := make([]func(context.Context), 0, len(values))
		for id, v := range values {
			calls = append(calls, h.saved(id, v))
		}
		return h.after(ctx, saver.SaveMany(ctx, values), calls...)
	}
	for id, v := range values {
		if err := h.Save(ctx, id, v); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes id below, and then tells OnDeleted.
func (h *Hooked[K, V]) Delete(ctx context.Context, id K) error {
	return h.after(ctx, h.inner.Delete(ctx, id), h.deleted(id))
}

// Apply lets the repository below apply the changes, and tells the hooks of those that
// it has, but not of what it had before: ErrDuplicate. If it is no Applier, each is
// errors.ErrUnsupported; a WriteBehind around then saves and deletes.
func (h *Hooked[K, V]) Apply(ctx context.Context, changes []Change[K, V]) []error {
	applier := applierOf(h.inner)
	if applier == nil {
		return slices.Repeat([]error{errNoApplier}, len(changes))
	}
	errs := applier.Apply(ctx, changes)
	if errs != nil && len(errs) != len(changes) {
		return errs // which is refused
	}
	var calls []func(context.Context)
	for i, c := range changes {
		switch {
		case errs != nil && errs[i] != nil:
		case c.Deleted:
			calls = append(calls, h.deleted(c.ID))
		default:
			calls = append(calls, h.saved(c.ID, c.Value))
		}
	}
	h.call(ctx, calls)
	return errs
}

var errNoApplier = errors.Join(errors.New("larder: the repository applies no changes"), errors.ErrUnsupported)

// Transact runs do in a transaction of the repository below: see
// WriteThrough.Transact.
func (h *Hooked[K, V]) Transact(ctx context.Context, do func(ctx context.Context) error) error {
	if do == nil {
		return refuse("do", nil, "must not be nil")
	}
	source, _ := h.inner.(Transactor)
	return transact(ctx, work{h, h.begin, source, func(ctx context.Context, _ participant) error { return do(ctx) }})
}

func (h *Hooked[K, V]) layers() layer { return layersOf(h.inner) }

func (h *Hooked[K, V]) transacts() bool { return transactorOf(h.inner) != nil }

func (h *Hooked[K, V]) saved(id K, v V) func(context.Context) {
	return func(ctx context.Context) {
		if h.hooks.OnSaved != nil {
			h.hooks.OnSaved(ctx, id, v)
		}
	}
}

func (h *Hooked[K, V]) deleted(id K) func(context.Context) {
	return func(ctx context.Context) {
		if h.hooks.OnDeleted != nil {
			h.hooks.OnDeleted(ctx, id)
		}
	}
}

// after makes the calls once the write that ended with err is committed. It
// returns err.
func (h *Hooked[K, V]) after(ctx context.Context, err error, calls ...func(context.Context)) error {
	if err != nil && !errors.Is(err, cache.ErrCommittedCacheDegraded) {
		return err
	}
	t := transactionOf(ctx)
	if t == nil {
		h.call(ctx, calls)
		return err
	}
	p, joinErr := t.join(h, h.begin)
	if joinErr != nil {
		return joinErr
	}
	told := p.(*telling[K, V])
	told.calls = append(told.calls, calls...)
	return err
}

func (h *Hooked[K, V]) call(ctx context.Context, calls []func(context.Context)) {
	for _, f := range calls {
		shielded(func() {
			defer func() {
				if p := recover(); p != nil && h.hooks.OnPanic != nil {
					h.hooks.OnPanic(ctx, p)
				}
			}()
			f(ctx)
		})
	}
}

// shielded runs the user's code, whose panic goes no further.
func shielded(call func()) {
	defer func() { _ = recover() }()
	call()
}

// telling is the part of a Hooked in a transaction.
type telling[K comparable, V any] struct {
	*Hooked[K, V]
	calls []func(context.Context)
}

func (h *Hooked[K, V]) begin() (participant, error) { return &telling[K, V]{Hooked: h}, nil }

func (t *telling[K, V]) owner() any                  { return t.Hooked }
func (t *telling[K, V]) ready(context.Context) error { return nil }
func (t *telling[K, V]) until() time.Time            { return time.Time{} }

func (t *telling[K, V]) end(ctx context.Context, o outcome) error {
	if o == committed {
		t.call(ctx, t.calls)
	}
	return nil
}
