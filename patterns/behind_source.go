package patterns

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// source is the repository under a WriteBehind with the capabilities that it
// has. A panic of its code is an error here.
type source[K comparable, V any] struct {
	inner   Repository[K, V]
	saver   ManySaver[K, V] // nil if it has none
	applier Applier[K, V]   // as well

	classify func(err error) Verdict
}

// newSource finds what inner can do. SaveMany is not for increments: whether
// all or none were added could not be told apart after a failure.
func newSource[K comparable, V any](inner Repository[K, V], opts *WriteBehindOptions[K, V]) source[K, V] {
	s := source[K, V]{inner: inner, classify: opts.Classify}
	s.applier = applierOf(inner)
	if opts.Merge == nil {
		s.saver, _ = any(inner).(ManySaver[K, V])
	}
	return s
}

func (s source[K, V]) findMany(ctx context.Context, ids []K) (map[K]V, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return findMany(ctx, s.inner, ids)
}

// errUntried says that a change was not tried because there was no time, or no use.
var errUntried = errors.New("larder: the write was not tried")

// apply writes the changes, of distinct keys, and returns an error for each.
func (s source[K, V]) apply(ctx context.Context, changes []Change[K, V]) []error {
	if s.applier != nil {
		return s.applyAll(ctx, changes)
	}
	errs := make([]error, len(changes))
	var batch []int // where the changes are that SaveMany can write
	for i, c := range changes {
		errs[i] = errUntried
		if s.saver != nil && !c.Deleted && c.Attempt == 1 {
			batch = append(batch, i) // what failed before is not to spoil it
		}
	}
	down := false
	if len(batch) > 1 {
		err := s.saveMany(ctx, changes, batch)
		if down = s.down(err); err == nil || down {
			for _, i := range batch {
				errs[i] = err
			}
		}
	}
	for i, c := range changes {
		if errs[i] != errUntried || down || ctx.Err() != nil {
			continue
		}
		errs[i] = s.one(ctx, c)
		down = s.down(errs[i])
	}
	return errs
}

// down reports whether err says that there is no use in trying others.
func (s source[K, V]) down(err error) (down bool) {
	if err == nil || errors.Is(err, ErrDuplicate) {
		return false
	}
	defer func() { _ = recover() }() // the verdict of a classifier that panics is Retry
	return s.classify(err) == Unavailable
}

func (s source[K, V]) saveMany(ctx context.Context, changes []Change[K, V], at []int) (err error) {
	values := make(map[K]V, len(at))
	for _, i := range at {
		values[changes[i].ID] = changes[i].Value
	}
	defer recoverInto(&err)
	return s.saver.SaveMany(ctx, values)
}

func (s source[K, V]) applyAll(ctx context.Context, changes []Change[K, V]) []error {
	errs := make([]error, len(changes))
	var got []error
	err := func() (err error) {
		defer recoverInto(&err)
		got = s.applier.Apply(ctx, changes)
		return nil
	}()
	if err == nil && got != nil && len(got) != len(changes) {
		err = fmt.Errorf("larder: Apply returned %d errors for %d changes", len(got), len(changes))
	}
	for i := range errs {
		if errs[i] = err; err == nil && got != nil {
			errs[i] = got[i]
		}
	}
	return errs
}

// one writes one change.
func (s source[K, V]) one(ctx context.Context, c Change[K, V]) (err error) {
	if s.applier != nil {
		return s.applyAll(ctx, []Change[K, V]{c})[0]
	}
	defer recoverInto(&err)
	if c.Deleted || c.Fresh {
		if err := s.inner.Delete(ctx, c.ID); err != nil || c.Deleted {
			return err
		}
	}
	return s.inner.Save(ctx, c.ID, c.Value)
}

// panicError is a panic of the source. Its text names the kind only: what was
// passed to panic may hold personal data.
type panicError struct{ value any }

func (e *panicError) Error() string {
	if err, ok := e.value.(runtime.Error); ok {
		return "larder: the source panicked: " + err.Error()
	}
	return fmt.Sprintf("larder: the source panicked with a %T", e.value)
}

func (e *panicError) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

func recoverInto(err *error) {
	if p := recover(); p != nil {
		*err = &panicError{p}
	}
}
