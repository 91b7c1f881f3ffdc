package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// errNoRefresh refuses values that age where a refresh could not be kept from
// storing what an invalidation made out of date.
var errNoRefresh = fmt.Errorf("larder: values that age on a cache without versions: %w", errors.ErrUnsupported)

// errBusy is why the result of a load for an expired entry is not stored.
var errBusy = errors.New("larder: the entry cannot be replaced now")

// refreshes reports whether an entry can be replaced if it has not changed.
func (t *Typed[V]) refreshes() bool {
	return t.own != nil || t.changers.versioner != nil && (t.objects == nil || t.changers.objectVersioner != nil)
}

// served notes that a caller got what was seen.
func (t *Typed[V]) served(ctx context.Context, s sight) {
	if s.at == atStale || s.at == atExpired {
		t.shared.staleHit(ctx)
	}
}

// suffices reports whether what was seen may be returned with nothing to be
// started, and notes it.
func (t *Typed[V]) suffices(ctx context.Context, key string, s sight) bool {
	if s.at != atAhead && s.at != atStale {
		return false
	}
	by, name := t.names.Coordinate(key)
	if by.refreshable(name) {
		return false
	}
	t.served(ctx, s)
	return true
}

// aged goes on where a look-up brought a value that is stale, expired, or to be
// refreshed ahead. If more is true it brought nothing for this caller, who goes
// on with what was seen now.
func (t *Typed[V]) aged(ctx context.Context, key string, since uint64, value *V, s *sight, attempt int, create func(context.Context, *Entry) (V, error)) (result V, err error, more bool) {
	if s.live() {
		if !t.suffices(ctx, key, *s) {
			t.refresh(ctx, key, *s, create)
			t.served(ctx, *s)
		}
		return *value, nil, false
	}
	by, name := t.names.Coordinate(key)
	if n := by.noted(name); n.err != nil && time.Now().Before(n.retry) {
		t.served(ctx, *s)
		return *value, nil, false
	}
	a := arrival{shared: t.peeker != nil, since: since}
	b := t.board(ctx, key, false, t.spec(attempt), nil, a)
	if b.err != nil || b.flight == nil {
		return b.value, b.err, false
	}
	if b.led {
		go (&run[V]{typed: t, by: b.by, load: b.load, flight: b.flight, key: key, create: create, cached: !b.blind, seen: *s}).do()
	}
	patience, stop := t.patience(s.patience)
	defer stop()
	got, err, again := b.by.wait(ctx, b.joined, patience)
	switch {
	case again:
		*value, *s, err = t.lookup(ctx, key)
		return result, err, true
	case err == nil:
		return got.(*object[V]).value, nil, false
	case err == errImpatient: //nolint:errorlint // this very error
		t.served(ctx, *s)
		return *value, nil, false
	case ctx.Err() != nil || !isFailure(err):
		return result, err, false
	}
	if errors.Is(err, ErrLoadTimeout) {
		t.noteFailure(b.by, b.flight, Freshness{}, true, err) // the loader may never return
	}
	return t.fallBack(ctx, key, *value, *s, err)
}

// fallBack returns the value that is there after a load failed: if it is gone by
// now, it was invalidated while the caller waited.
func (t *Typed[V]) fallBack(ctx context.Context, key string, value V, s sight, failure error) (V, error, bool) {
	now, nowSeen, err := t.lookup(ctx, key)
	var zero V
	switch {
	case err != nil: // nobody can tell; the value was there when the caller came
	case nowSeen.at == atNegative:
		return zero, ErrNotFound, false
	case nowSeen.live() || nowSeen.at == atExpired:
		value, s = now, nowSeen
	default:
		return zero, failure, false
	}
	t.served(ctx, s)
	return value, nil, false
}

// isFailure reports whether err says that the load failed: not that the source
// has no such value, nor that there was no load.
func isFailure(err error) bool {
	for _, other := range [...]error{ErrNotFound, ErrClosed, ErrRecursiveLoad, ErrTypeMismatch, ErrNilLoader} {
		if errors.Is(err, other) {
			return false
		}
	}
	return err != nil && !sentBack(err)
}

// patience returns what ends a caller's waiting for a load before the load ends:
// soft if there is a value to fall back on, else HardTimeout.
func (t *Typed[V]) patience(soft time.Duration) (ends <-chan time.Time, stop func()) {
	d := t.opts.HardTimeout
	if soft > 0 && (d == 0 || soft < d) {
		d = soft
	}
	if d == 0 {
		return nil, func() {}
	}
	timer := time.NewTimer(d)
	return timer.C, func() { timer.Stop() }
}

// refresh begins a load in the background, if none may be in flight.
func (t *Typed[V]) refresh(ctx context.Context, key string, s sight, create func(context.Context, *Entry) (V, error)) {
	by, name := t.names.Coordinate(key)
	j := by.refresh(ctx, name, t.spec(0), nil)
	if j.flight == nil {
		return
	}
	go (&run[V]{typed: t, by: by, load: j.load, flight: j.flight, key: key, create: create, cached: true, seen: s, background: true}).do()
}

// outdates reports whether the load tells that the entry it was to refresh is no
// longer true, and has nothing to be stored instead.
func (b *brought[V]) outdates() bool {
	return b.ran && (b.err == nil && b.entry.NoStore || errors.Is(b.err, ErrNotFound) && !b.negative)
}

// remember notes, for callers to come, how a load ended whose result was stored
// with this error.
func (t *Typed[V]) remember(ctx context.Context, by *Coordinator, f *flight, r right, b brought[V], storeErr error) {
	if !b.ran || f.key.bypass {
		return
	}
	err := f.cause(b.err)
	if r.replace {
		by.refreshed(ctx, b.took, err)
	}
	switch {
	case isFailure(err):
		t.noteFailure(by, f, b.entry.Freshness, r.replace, err)
	case r.replace && err == nil && (storeErr != nil || t.peeker != nil):
		t.noteQuiet(by, f, b.entry.Freshness)
	}
}

// noteFailure notes that a load failed: of an entry that is there, or of none.
func (t *Typed[V]) noteFailure(by *Coordinator, f *flight, own Freshness, there bool, err error) {
	fresh := own.inherit(t.opts.Freshness)
	n := note{err: err}
	switch now := time.Now(); {
	case there:
		n.retry = now.Add(fresh.retryAfter())
	case fresh.ErrorTTL > 0:
		n.until = now.Add(fresh.ErrorTTL)
	default:
		return
	}
	by.note(f, n)
}

// noteQuiet notes that there is no need of a refresh for a while: another process
// is at it, or it was done just now. Then the entry is fresh, unless another
// host's clock is so far ahead that it never seems so: this bounds what comes of
// that.
func (t *Typed[V]) noteQuiet(by *Coordinator, f *flight, own Freshness) {
	fresh := own.inherit(t.opts.Freshness)
	quiet := fresh.retryAfter()
	if fresh.SoftTTL > 0 {
		quiet = min(quiet, fresh.SoftTTL)
	}
	by.note(f, note{retry: time.Now().Add(quiet)})
}

func (f Freshness) retryAfter() time.Duration { return cmp.Or(f.RetryAfter, DefaultRetryAfter) }
