package cache

import (
	"context"
	"errors"
	"fmt"
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

func (e *CommittedError) Error() string {
	return fmt.Sprintf("%v: %v", ErrCommittedCacheDegraded, e.Err)
}

// Is reports whether target is ErrCommittedCacheDegraded.
func (e *CommittedError) Is(target error) bool { return target == ErrCommittedCacheDegraded }

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
// before write runs, one after the other. It costs two round trips for each.
// keys is not kept; duplicates count once.
func WriteWith(ctx context.Context, c Cache, keys []string, opts WriteOptions, write func(ctx context.Context) error) error {
	if write == nil {
		return errNilWrite
	}
	w, err := beginWrite(ctx, c, keys, opts)
	if err != nil {
		return err
	}
	return w.run(ctx, write, w.endAll)
}

var errNilWrite = &OptionError{Option: "write", Reason: "must not be nil", Err: ErrInvalidConfig}

// writing is a write that has begun.
type writing struct {
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
}

// beginWrite marks the keys. An error means that the write must not go ahead.
func beginWrite(ctx context.Context, c Cache, keys []string, opts WriteOptions) (*writing, error) {
	if c == nil {
		return nil, &OptionError{Option: "cache", Reason: "must not be nil", Err: ErrInvalidConfig}
	}
	if err := CheckContext(ctx); err != nil {
		return nil, err
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &writing{cache: c, opts: opts}
	seen := make(map[string]bool, len(keys))
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return nil, &OpError{Op: "write", Key: key, Err: err}
		}
		if !seen[key] {
			seen[key] = true
			w.keys = append(w.keys, markedKey{key: key})
		}
	}
	w.marker, _ = As[WriteMarker](c)
	// Before the marks, by this process's monotonic clock: no mark ends earlier.
	w.until = time.Now().Add(opts.MarkTTL - opts.MarkTTL/marginShare)
	if err := w.markAll(ctx); err != nil {
		_ = w.endAll(ctx) // or the marks run out: nothing was written
		return nil, err
	}
	return w, nil
}

// markAll marks each key that can be marked.
func (w *writing) markAll(ctx context.Context) error {
	if w.marker == nil {
		return nil
	}
	for i := range w.keys {
		k := &w.keys[i]
		mark, err := w.marker.BeginWrite(ctx, k.key, w.opts.MarkTTL)
		k.mark = mark
		switch {
		case ctx.Err() != nil:
			w.keys = w.keys[:i+1]
			return ctx.Err()
		case err == nil, errors.Is(err, ErrOutcomeUnknown), errors.Is(err, ErrUnavailable), errors.Is(err, ErrTooManyWriters):
		default:
			w.keys = w.keys[:i]
			return err
		}
	}
	return nil
}

// run runs write, and then end. The source may have been changed even if write
// failed or did not return.
func (w *writing) run(ctx context.Context, write func(context.Context) error, end func(context.Context) error) (err error) {
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

// endAll tells the cache of each key that the write is over.
func (w *writing) endAll(ctx context.Context) error {
	ctx, cancel := w.ending(ctx)
	defer cancel()
	var errs []error
	for _, k := range w.keys {
		errs = append(errs, w.end(ctx, k))
	}
	return errors.Join(errs...)
}

// ending returns the context of a write's end.
func (w *writing) ending(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), w.opts.EndTimeout)
}

// end tells the cache of one key. That may be repeated.
func (w *writing) end(ctx context.Context, k markedKey) (err error) {
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
		return t.endWrite(ctx, w, value, opts, done)
	})
	if !done {
		var zero V
		return zero, err
	}
	return value, err
}

// endWrite ends a write of one key, with its value if that was written.
func (t *Typed[V]) endWrite(ctx context.Context, w *writing, value V, opts EntryOptions, done bool) error {
	if t.own != nil {
		defer t.own.Invalidate(w.keys[0].key)
	}
	if done && w.keys[0].mark != (WriteMark{}) && !t.bypassed(ctx) {
		within, cancel := w.ending(ctx)
		defer cancel()
		opts.Mark = w.keys[0].mark
		err := shielded(func() error {
			o := &object[V]{value: value}
			if err := t.ageing(o, &opts, Freshness{}, 0, ""); err != nil {
				return err
			}
			return t.put(within, w.keys[0].key, o, opts)
		})
		if err == nil || errors.Is(err, ErrWriteOverlapped) {
			return nil
		}
		t.shared.fillRefused(within, err)
	}
	return w.endAll(ctx)
}
