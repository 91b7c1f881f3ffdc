package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// DefaultMarkTTL is how long a write mark stands at most, and a sixth more
	// than a write may take, unless WriteOptions say otherwise.
	DefaultMarkTTL = 30 * time.Second

	// DefaultEndTimeout bounds the end of a write unless WriteOptions say
	// otherwise.
	DefaultEndTimeout = 5 * time.Second

	// marginShare is the part of a mark's time before whose beginning a write
	// must be over: for clocks that run at different speeds, and for what the
	// source may still do after it was told to stop.
	marginShare = 6

	// endAttempts is how often a write that did not end is ended.
	endAttempts = 2
)

// WriteOptions tune WriteWith. The zero value means the defaults.
type WriteOptions struct {
	// MarkTTL is how long the keys stay marked if the process dies. The write's
	// context ends a sixth of it earlier. Zero: DefaultMarkTTL.
	MarkTTL time.Duration

	// EndTimeout bounds how long it may take to tell the cache that the write is
	// over, whatever becomes of the caller's context. Zero: DefaultEndTimeout.
	EndTimeout time.Duration

	// Strict refuses a write whose keys cannot be marked, with the reason (as
	// ErrUnavailable or ErrTooManyWriters), instead of going ahead without marks.
	// On a cache without WriteMarker it is errors.ErrUnsupported.
	Strict bool
}

func (o WriteOptions) withDefaults() (WriteOptions, error) {
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{{"MarkTTL", &o.MarkTTL, DefaultMarkTTL}, {"EndTimeout", &o.EndTimeout, DefaultEndTimeout}} {
		if *d.value < 0 {
			return o, &OptionError{Option: "WriteOptions." + d.name, Value: *d.value, Reason: "must not be negative", Err: ErrInvalidConfig}
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	return o, nil
}

// ErrCommittedCacheDegraded matches every *CommittedError.
var ErrCommittedCacheDegraded = errors.New("larder: the source was written, but the cache could not be told")

// CommittedError means that a write to the source worked and that the cache
// could not be told. Do not repeat the write. Until the write mark runs out, or
// without one the entry's TTL, callers may get the value from before.
type CommittedError struct{ Err error }

// Error says that the source was written, and what kept the cache from being told.
func (e *CommittedError) Error() string {
	return fmt.Sprintf("%v: %v", ErrCommittedCacheDegraded, e.Err)
}

// Is reports whether target is ErrCommittedCacheDegraded.
func (e *CommittedError) Is(target error) bool { return target == ErrCommittedCacheDegraded }

// Unwrap returns Err.
func (e *CommittedError) Unwrap() error { return e.Err }

// Write runs write, which changes the source of key, under a write mark: see
// WriteMarker. A caller that starts after Write returned nil never gets what was
// loaded before, and if the process dies on the way the entry from before is
// gone all the same.
//
// write must have changed the source before its context ends, which is five
// sixths of the mark's time from now or earlier: pass the context to the
// transaction. Afterwards the key is told that the write is over, whether write
// worked, failed or panicked and whether or not ctx has ended by then.
//
// An error of write is returned as it is. If only telling the cache failed, the
// error is a *CommittedError. If write was not run, it is any other error: of
// the context, the key or the options.
//
// If the key cannot be marked because the cache is unavailable, or too many
// others write it, the write goes ahead without, and is followed by a Remove. So
// it is in a cache without WriteMarker: then a process that dies in between
// leaves the old entry. It costs two round trips.
func Write(ctx context.Context, c Cache, key string, write func(ctx context.Context) error) error {
	return WriteWith(ctx, c, []string{key}, WriteOptions{}, write)
}

// WriteWith is Write for a change that concerns several keys: all are marked
// before write runs, at the same time. It costs two round trips for each, which
// they share where the cache lets concurrent calls do so. keys is not kept;
// duplicates count once.
func WriteWith(ctx context.Context, c Cache, keys []string, opts WriteOptions, write func(ctx context.Context) error) error {
	if write == nil {
		return errNilWrite
	}
	w, err := beginWrite(ctx, c, keys, opts)
	if err != nil {
		return err
	}
	return w.run(ctx, write, w.End)
}

var errNilWrite = &OptionError{Option: "write", Reason: "must not be nil", Err: ErrInvalidConfig}

// Writing is a change of the source that is under way: WriteWith in parts, for
// a transaction that finds out on the way which keys it concerns. Use NewWriting,
// Mark each key before the source is changed, commit before Until, and End it in
// any case. It must not be used concurrently.
type Writing struct {
	cache  Cache
	marker WriteMarker // nil if the cache has none
	opts   WriteOptions
	until  time.Time // when the source must have been changed
	keys   []markedKey
}

// markedKey is a key that is being written.
type markedKey struct {
	key  string
	mark WriteMark // zero: it could not be marked
	err  error     // why not
}

// NewWriting returns a change of the source that begins now. It sends nothing.
func NewWriting(c Cache, opts WriteOptions) (*Writing, error) {
	if isNil(c) {
		return nil, &OptionError{Option: "cache", Reason: "must not be nil", Err: ErrInvalidConfig}
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Writing{cache: c, opts: opts}
	w.marker, _ = As[WriteMarker](c)
	if opts.Strict && w.marker == nil {
		return nil, fmt.Errorf("larder: strict writes on a cache without write marks: %w", errors.ErrUnsupported)
	}
	// Before the marks, by this process's monotonic clock: no mark ends earlier.
	w.until = time.Now().Add(opts.MarkTTL - opts.MarkTTL/marginShare)
	return w, nil
}

// Until is when the source must have been changed: later the marks may be gone.
func (w *Writing) Until() time.Time { return w.until }

// Mark marks those of keys that are not marked yet. An error means that the
// source must not be changed; Writing.End is still due. See Write for keys that
// cannot be marked. It costs one round trip for each, which they share where the
// cache lets concurrent calls do so.
func (w *Writing) Mark(ctx context.Context, keys ...string) error {
	if err := CheckContext(ctx); err != nil {
		return err
	}
	if !time.Now().Before(w.until) {
		return context.DeadlineExceeded
	}
	known := len(w.keys)
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			w.keys = w.keys[:known]
			return &OpError{Op: "write", Key: key, Err: err}
		}
		if !slices.ContainsFunc(w.keys, func(k markedKey) bool { return k.key == key }) {
			w.keys = append(w.keys, markedKey{key: key})
		}
	}
	if w.marker == nil {
		return nil
	}
	w.markAll(ctx, w.keys[known:])
	var errs []error
	w.keys = slices.DeleteFunc(w.keys, func(k markedKey) bool {
		switch {
		case k.err == nil:
		case w.opts.Strict && errors.Is(k.err, ErrOutcomeUnknown): // of the mark; the write's is known
			errs = append(errs, fmt.Errorf("%w: the key could not be marked", ErrUnavailable))
		case w.opts.Strict || !canDoWithout(k.err):
			errs = append(errs, k.err)
		}
		return k.err != nil && !canDoWithout(k.err) // nothing was changed
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(errs...)
}

// markAll marks the keys at the same time.
func (w *Writing) markAll(ctx context.Context, keys []markedKey) {
	ttl := w.opts.MarkTTL
	mark := func(k *markedKey) { k.mark, k.err = w.marker.BeginWrite(ctx, k.key, ttl) }
	if len(keys) == 1 {
		mark(&keys[0])
		return
	}
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() { mark(&keys[i]) })
	}
	all.Wait()
}

// canDoWithout reports whether a write goes ahead although its key could not be
// marked.
func canDoWithout(err error) bool {
	return errors.Is(err, ErrOutcomeUnknown) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrTooManyWriters)
}

// beginWrite marks the keys. An error means that the write must not go ahead.
func beginWrite(ctx context.Context, c Cache, keys []string, opts WriteOptions) (*Writing, error) {
	if isNil(c) {
		return nil, &OptionError{Option: "cache", Reason: "must not be nil", Err: ErrInvalidConfig}
	}
	if err := CheckContext(ctx); err != nil {
		return nil, err
	}
	w, err := NewWriting(c, opts)
	if err != nil {
		return nil, err
	}
	if err := w.Mark(ctx, keys...); err != nil {
		_ = w.End(ctx) // or the marks run out: nothing was written
		return nil, err
	}
	return w, nil
}

// run runs write, and then end. The source may have been changed even if write
// failed or did not return.
func (w *Writing) run(ctx context.Context, write func(context.Context) error, end func(context.Context) error) (err error) {
	returned := false
	defer func() {
		endErr := end(ctx)
		if returned && err == nil && endErr != nil {
			err = &CommittedError{endErr}
		}
	}()
	within, cancel := context.WithDeadline(ctx, w.until)
	defer cancel()
	if err = within.Err(); err == nil {
		err = write(within)
	}
	returned = true
	return err
}

// End tells the cache of each key that the write is over, whether or not ctx
// has ended; it takes WriteOptions.EndTimeout at most. Keys that were told are
// forgotten, so that another End tells the others again. It is due whatever became
// of the source. An error means that callers may get the value from before until
// the marks run out, or without one the entry's TTL.
func (w *Writing) End(ctx context.Context) error {
	return w.endOf(ctx, func(markedKey) bool { return true })
}

// endOf is End for some of the keys.
func (w *Writing) endOf(ctx context.Context, those func(markedKey) bool) error {
	ctx, cancel := w.ending(ctx)
	defer cancel()
	errs := make([]error, len(w.keys))
	var all sync.WaitGroup
	for i, k := range w.keys {
		switch {
		case !those(k):
			errs[i] = errNotEnded
		case len(w.keys) == 1:
			errs[i] = w.end(ctx, k)
		default:
			all.Go(func() { errs[i] = w.end(ctx, k) })
		}
	}
	all.Wait()
	left := w.keys[:0]
	for i, k := range w.keys {
		if errs[i] != nil {
			left = append(left, k)
		}
	}
	w.keys = left
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == errNotEnded })...)
}

var errNotEnded = errors.New("larder: not to be ended yet")

// ending returns the context of a write's end.
func (w *Writing) ending(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), w.opts.EndTimeout)
}

// end tells the cache of one key. That may be repeated.
func (w *Writing) end(ctx context.Context, k markedKey) (err error) {
	for range endAttempts {
		if k.mark != (WriteMark{}) {
			err = w.marker.EndWrite(ctx, k.key, k.mark)
		} else {
			err = w.cache.Remove(ctx, k.key)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// Write is the function Write for one entry, and stores what write returned in
// the step that ends the write. If another writer or an invalidation came
// between, it is not stored, nor if it cannot be: then the entry is gone. opts
// are as for Set, except that Lease and Mark are ignored.
func (t *Typed[V]) Write(ctx context.Context, key string, opts EntryOptions, write func(ctx context.Context) (V, error)) (V, error) {
	var value V
	if write == nil {
		return value, errNilWrite
	}
	if err := t.ready(ctx); err != nil {
		return value, err
	}
	opts.Lease, opts.Mark = Lease{}, WriteMark{}
	opts = opts.Inherit(t.opts.Defaults)
	if _, _, err := opts.Resolve(EntryOptions{}, time.Now()); err != nil {
		return value, err
	}
	tried := opts
	if err := t.ageing(new(object[V]), &tried, Freshness{}, 0, ""); err != nil {
		return value, err
	}
	if t.own != nil {
		t.own.Invalidate(key)
	}
	w, err := beginWrite(ctx, t.cache, []string{key}, WriteOptions{})
	if err != nil {
		return value, err
	}
	done := false
	err = w.run(ctx, func(ctx context.Context) (err error) {
		value, err = write(ctx)
		done = err == nil
		return err
	}, func(ctx context.Context) error {
		if !done {
			return t.end(ctx, w, key)
		}
		return t.EndWriting(ctx, w, key, value, opts)
	})
	if !done {
		var zero V
		return zero, err
	}
	return value, err
}

// EndWriting ends the write of key, one of those that w marked, and stores value in
// the step that does so, as Typed.Write does: for a source that was written. w must
// be of t's cache. What it could not end is left to Writing.End. One round trip.
func (t *Typed[V]) EndWriting(ctx context.Context, w *Writing, key string, value V, opts EntryOptions) error {
	at := slices.IndexFunc(w.keys, func(k markedKey) bool { return k.key == key })
	if at < 0 || w.keys[at].mark == (WriteMark{}) || t.bypassed(ctx) {
		return t.end(ctx, w, key)
	}
	if t.own != nil {
		defer t.own.Invalidate(key)
	}
	within, cancel := w.ending(ctx)
	defer cancel()
	opts = opts.Inherit(t.opts.Defaults)
	opts.Lease, opts.Mark = Lease{}, w.keys[at].mark
	err := shielded(func() error {
		o := &object[V]{value: value}
		if err := t.ageing(o, &opts, Freshness{}, 0, ""); err != nil {
			return err
		}
		return t.put(within, key, o, opts)
	})
	if err == nil || errors.Is(err, ErrWriteOverlapped) {
		w.keys = slices.Delete(w.keys, at, at+1)
		return nil
	}
	t.shared.fillRefused(within, err)
	return t.end(ctx, w, key)
}

// end ends the write of key without a value.
func (t *Typed[V]) end(ctx context.Context, w *Writing, key string) error {
	if t.own != nil {
		defer t.own.Invalidate(key)
	}
	return w.endOf(ctx, func(k markedKey) bool { return k.key == key })
}
