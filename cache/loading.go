package cache

import (
	"context"
	"errors"
	"sync"
	"unsafe"

	"github.com/larder-go/larder/keys"
)

// LoadingOptions configure a Loading. The zero value, and nil, mean the
// defaults.
type LoadingOptions[K comparable, V any] struct {
	TypedOptions[V]

	// AppendKey appends the key of id to dst and returns the longer slice.
	// Distinct ids need distinct keys. nil: the key of keys.For[V]("ByID"),
	// as in Product-ByID-42.
	AppendKey func(dst []byte, id K) []byte

	// LoadMany brings many ids in one call, for GetMany. nil: GetMany loads
	// them one after the other.
	LoadMany func(ctx context.Context, ids []K, e *Entry) (map[K]V, error)

	// Transactional makes Get and GetMany with a context of InTransaction call the
	// loader for themselves: with that context, in the caller's goroutine, whatever
	// LoadTimeout says. They read and store nothing, and heed nothing of the Entry.
	Transactional bool
}

// Loading is a cache of values of type V under ids of type K that knows how to
// load them: GetOrCreateExclusive with a loader that is bound once. It is what
// a repository uses. Make it once and share it; it is safe for concurrent use.
type Loading[K comparable, V any] struct {
	typed   *Typed[V]
	load    func(context.Context, K, *Entry) (V, error)
	opts    LoadingOptions[K, V]
	buffers sync.Pool // of *[]byte, for keys
}

// NewLoading returns a Loading on c; opts may be nil. What is wrong with the
// arguments is reported by every later call, as for NewTyped.
func NewLoading[K comparable, V any](c Cache, load func(context.Context, K, *Entry) (V, error), opts *LoadingOptions[K, V]) *Loading[K, V] {
	l := &Loading[K, V]{load: load}
	if opts != nil {
		l.opts = *opts
	}
	l.typed = NewTyped(c, &l.opts.TypedOptions)
	if load == nil {
		l.typed.configErr = errors.Join(l.typed.configErr, ErrNilLoader)
	}
	if l.opts.AppendKey == nil {
		var err error
		if l.opts.AppendKey, err = appendByID[K, V](); err != nil {
			l.typed.configErr = errors.Join(l.typed.configErr, err)
		}
	}
	l.typed.direct = l.typed.direct && l.typed.configErr == nil
	l.buffers.New = func() any { return new(make([]byte, 0, 128)) }
	return l
}

// appendByID returns the AppendKey that a Loading has by default.
func appendByID[K comparable, V any]() (appendKey func([]byte, K) []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // a type that no key can name
			appendKey, err = nil, &OptionError{Option: "LoadingOptions.AppendKey", Reason: "is needed for these types", Err: ErrInvalidConfig}
		}
	}()
	byID := keys.For[V]("ByID")
	var zero K
	if _, err := keys.TryWith(zero); err != nil {
		keys.Value(zero)
		return func(dst []byte, id K) []byte { return byID.Append(dst, keys.Value(id)) }, nil
	}
	return func(dst []byte, id K) []byte { return byID.Append(dst, id) }, nil
}

// Get returns the value of id, loading it if need be: see
// Typed.GetOrCreateExclusive. A hit on an Objects cache allocates nothing, also if
// it is stale and being refreshed.
func (l *Loading[K, V]) Get(ctx context.Context, id K) (V, error) {
	t := l.typed // the usual hit is decided here, as in its lookup
	if !t.direct || ctx == nil || t.shared.disabled.Load() || isMarked(ctx) {
		return l.getOtherwise(ctx, id)
	}
	buf := l.buffers.Get().(*[]byte) // as borrow has it
	*buf = l.opts.AppendKey((*buf)[:0], id)
	held, ok, err := t.objects.GetObject(ctx, borrowed(buf))
	l.buffers.Put(buf)
	if v, is := held.(V); is && ok && err == nil {
		return v, nil
	}
	return l.judged(ctx, id, held, ok, err)
}

// judged is Get where GetObject returned anything but a V.
func (l *Loading[K, V]) judged(ctx context.Context, id K, held any, ok bool, err error) (V, error) {
	if err != nil { // it may hold the borrowed key
		return l.get(ctx, l.key(id), id)
	}
	value, s, _ := l.typed.judged(ctx, held, ok, nil)
	return l.seen(ctx, id, 0, value, s)
}

// seen is Get where a look-up has seen this.
func (l *Loading[K, V]) seen(ctx context.Context, id K, since uint64, value V, s sight) (V, error) {
	switch s.at {
	case atValue:
		return value, nil
	case atAhead, atStale:
		buf := l.borrow(id)
		suffices := l.typed.suffices(ctx, borrowed(buf), s)
		l.buffers.Put(buf)
		if suffices {
			return value, nil
		}
	}
	return missedWith(ctx, l.typed, l.key(id), id, since, value, s, nil, l.load)
}

// borrow returns a buffer with the key of id, for who does not keep it: on a miss
// the key is made anew. It is to be put back.
func (l *Loading[K, V]) borrow(id K) *[]byte {
	buf := l.buffers.Get().(*[]byte)
	*buf = l.opts.AppendKey((*buf)[:0], id)
	return buf
}

func borrowed(buf *[]byte) string { return unsafe.String(unsafe.SliceData(*buf), len(*buf)) }

// getOtherwise is Get where more is to be heeded.
func (l *Loading[K, V]) getOtherwise(ctx context.Context, id K) (V, error) {
	switch {
	case l.typed.configErr != nil:
		var zero V
		return zero, l.typed.configErr
	case l.apart(ctx):
		return l.load(ctx, id, unheeded())
	case l.typed.near != nil:
		buf := l.borrow(id)
		value, ok := l.typed.nearHit(ctx, borrowed(buf))
		l.buffers.Put(buf)
		if ok {
			return value, nil
		}
	case l.typed.objects != nil:
		buf := l.borrow(id)
		since := l.typed.arrive(borrowed(buf))
		value, s, err := l.typed.lookup(ctx, borrowed(buf))
		l.buffers.Put(buf)
		if err == nil { // else it may hold the borrowed key
			return l.seen(ctx, id, since, value, s)
		}
	}
	return l.get(ctx, l.key(id), id)
}

// apart reports whether a read with ctx is to ask the source alone.
func (l *Loading[K, V]) apart(ctx context.Context) bool {
	return l.opts.Transactional && ctx != nil && isInTransaction(ctx)
}

// unheeded returns the entry of a load that stores nothing.
func unheeded() *Entry { return &Entry{at: func(int) *Entry { return &Entry{} }} }

func (l *Loading[K, V]) get(ctx context.Context, key string, id K) (V, error) {
	return GetOrCreateExclusiveWith(ctx, l.typed, key, id, l.load)
}

// GetMany returns the values of ids that the source has, loading those that are
// missing with one call of LoadMany: see GetOrCreateMany.
func (l *Loading[K, V]) GetMany(ctx context.Context, ids []K) (map[K]V, error) {
	if err := l.typed.ready(ctx); err != nil {
		return nil, err
	}
	switch {
	case l.opts.LoadMany == nil:
	case l.apart(ctx):
		return l.opts.LoadMany(ctx, ids, unheeded())
	default:
		return GetOrCreateMany(ctx, l.typed, ids, l.key, l.opts.LoadMany)
	}
	rows := make(map[K]V, len(ids))
	for _, id := range ids {
		value, err := l.Get(ctx, id)
		switch {
		case err == nil:
			rows[id] = value
		case !errors.Is(err, ErrNotFound):
			return rows, err
		}
	}
	return rows, nil
}

// Set stores the value of id: see Typed.Set.
func (l *Loading[K, V]) Set(ctx context.Context, id K, value V, opts EntryOptions) error {
	if l.typed.configErr != nil {
		return l.typed.configErr
	}
	return l.typed.Set(ctx, l.key(id), value, opts)
}

// Write runs write, which changes the source of id, under a write mark, and
// stores what it returned: see Typed.Write.
func (l *Loading[K, V]) Write(ctx context.Context, id K, opts EntryOptions, write func(ctx context.Context) (V, error)) (V, error) {
	if l.typed.configErr != nil {
		var zero V
		return zero, l.typed.configErr
	}
	return l.typed.Write(ctx, l.key(id), opts, write)
}

// Remove deletes what is cached of id: see Typed.Remove.
func (l *Loading[K, V]) Remove(ctx context.Context, id K) error {
	if l.typed.configErr != nil {
		return l.typed.configErr
	}
	return l.typed.Remove(ctx, l.key(id))
}

// Typed returns the view that l reads and writes through.
func (l *Loading[K, V]) Typed() *Typed[V] { return l.typed }

// Close does what Typed.Close does.
func (l *Loading[K, V]) Close(ctx context.Context) error { return l.typed.Close(ctx) }

func (l *Loading[K, V]) key(id K) string { return string(l.opts.AppendKey(nil, id)) }
