package cache

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// GetOrCreateExclusive returns the value under key, and on a miss the result of
// create, which it stores. Callers that miss at the same time share one call of
// create: its *Entry says how long the value lives.
//
// A caller's context ends that caller's wait only. create runs in a goroutine
// of its own under a context with the first caller's values, bounded by
// TypedOptions.LoadTimeout (then callers get ErrLoadTimeout), which ends when
// the last caller has left (cause ErrAbandoned), the key is written or a region
// that the entry is known to depend on expires (cause ErrInvalidated), or the
// cache is closed (cause ErrClosed).
//
// A call that starts after Remove, Set, Clear or the expiration of a region that
// the entry depends on returned, in whatever process,
// never gets the result of a create that started before, as long as the cache
// can be reached, and such a result is never stored. Callers that were waiting in the process of the write start over.
// Who reads while a key is written is never served what is stale, but what it
// loads may go unstored.
//
// Processes that share a cache (see Peeker) follow one load of a key: the
// others wait until it has stored its value (see Waker), and take over if it
// fails, or five seconds after its process died.
//
// A value that is not fresh any more is served while it is refreshed, or kept for
// when create fails: see Freshness, which is off by default.
//
// An error of create goes to the callers that shared it and is not stored,
// except ErrNotFound with TypedOptions.NegativeTTL, and others with
// Freshness.ErrorTTL. If create panics or ends
// its goroutine, every caller gets a *LoaderPanicError or ErrLoaderGoexit. A
// create that asks for its own key gets ErrRecursiveLoad. A result that is too
// large or cannot be encoded is returned all the same, and counted as
// EventFillRefused; expiration and tokens that are refused are an error to the
// callers.
//
// If the cache cannot be reached, create runs and its result is not stored;
// callers of this process still share it.
//
// A fresh hit on an Objects cache costs no allocation beyond the closure passed as
// create, and a hit on Redis one round trip; a miss there two more. To save the
// closure too, see Loading and GetOrCreateExclusiveWith.
func (t *Typed[V]) GetOrCreateExclusive(ctx context.Context, key string, create func(context.Context, *Entry) (V, error)) (V, error) {
	if create == nil {
		var zero V
		return zero, ErrNilLoader
	}
	since := t.arrive(key)
	value, s, err := t.lookup(ctx, key)
	if s.at == atValue {
		return value, nil
	}
	return t.missed(ctx, key, since, value, s, err, create)
}

// GetOrCreateExclusive is Typed.GetOrCreateExclusive with default options, for
// a cache with Coordinated; for another it returns errors.ErrUnsupported.
func GetOrCreateExclusive[T any](ctx context.Context, c Cache, key string, create func(context.Context, *Entry) (T, error)) (T, error) {
	t, err := defaultTyped[T](c)
	if err != nil {
		var zero T
		return zero, err
	}
	return t.GetOrCreateExclusive(ctx, key, create)
}

// GetOrCreateExclusiveWith is t.GetOrCreateExclusive with a create that gets
// what it needs as state instead of capturing it, so that a hit allocates
// nothing at all.
func GetOrCreateExclusiveWith[S, V any](ctx context.Context, t *Typed[V], key string, state S, create func(context.Context, S, *Entry) (V, error)) (V, error) {
	if create == nil {
		var zero V
		return zero, ErrNilLoader
	}
	since := t.arrive(key)
	value, s, err := t.lookup(ctx, key)
	if s.at == atValue {
		return value, nil
	}
	return missedWith(ctx, t, key, state, since, value, s, err, create)
}

// missedWith makes the closure that a load needs. It stands apart so that a hit
// does not pay for it.
//
//go:noinline
func missedWith[S, V any](ctx context.Context, t *Typed[V], key string, state S, since uint64, value V, s sight, err error, create func(context.Context, S, *Entry) (V, error)) (V, error) {
	if t.suffices(ctx, key, s) {
		return value, nil
	}
	return t.missed(ctx, key, since, value, s, err, func(ctx context.Context, e *Entry) (V, error) {
		return create(ctx, state, e)
	})
}

// arrive returns how many flights had begun when a caller came, where that
// matters: see arrival.
func (t *Typed[V]) arrive(key string) uint64 {
	if t.peeker == nil {
		return 0
	}
	return t.begun(key)
}

func (t *Typed[V]) begun(key string) uint64 {
	co, _ := t.names.Coordinate(key)
	return co.begun.Load()
}

// missed goes on where a look-up brought no value, or one that is not fresh.
func (t *Typed[V]) missed(ctx context.Context, key string, since uint64, value V, s sight, err error, create func(context.Context, *Entry) (V, error)) (V, error) {
	var zero V
	if err != nil && final(ctx, err) {
		return zero, err
	}
	if t.peeker == nil {
		since = t.begun(key) // not when the caller came, to keep hits quick
	}
	for attempt := 0; ; attempt++ {
		var result V
		var again bool
		switch {
		case s.at == atNegative:
			return zero, ErrNotFound
		case s.live() || s.at == atExpired:
			result, err, again = t.aged(ctx, key, since, &value, &s, attempt, create)
		case err != nil && final(ctx, err):
			return zero, err
		default:
			var loadErr error
			result, loadErr, again = t.absent(ctx, key, since, err != nil, attempt, create)
			if !again {
				err = loadErr
			}
		}
		if !again {
			return result, err
		}
	}
}

// absent goes on where a look-up brought nothing. If again is true it has
// brought nothing for this caller, who looks anew.
func (t *Typed[V]) absent(ctx context.Context, key string, since uint64, blind bool, attempt int, create func(context.Context, *Entry) (V, error)) (result V, err error, again bool) {
	bypass := t.bypassed(ctx)
	if !bypass {
		by, name := t.names.Coordinate(key)
		if err := by.failed(ctx, name); err != nil {
			return result, err, false
		}
	}
	a := arrival{shared: t.peeker != nil && !bypass, since: since, blind: blind}
	b := t.board(ctx, key, bypass, t.spec(attempt), nil, a)
	if b.err != nil || b.flight == nil {
		return b.value, b.err, false
	}
	if b.led {
		r := &run[V]{typed: t, by: b.by, load: b.load, flight: b.flight, key: key, create: create}
		r.cached = !bypass && !b.blind
		go r.do()
	}
	patience, stop := t.patience(0)
	defer stop()
	value, err, again := b.by.wait(ctx, b.joined, patience)
	switch {
	case again:
		return result, nil, true
	case err == errImpatient: //nolint:errorlint // this very error
		return result, ErrLoadTimeout, false
	case err != nil:
		return result, err, false
	}
	return value.(*object[V]).value, nil, false
}

// boarding is what came of looking for a flight: one to wait for, or, if that
// is nil, a value that was there by now, or an error.
type boarding[V any] struct {
	joined
	by    *Coordinator
	blind bool // the cache cannot be asked
	value V
	err   error
}

// board enters the caller into a flight of key. Where it is in doubt whether a
// flight is still in charge of the key, it asks the cache.
func (t *Typed[V]) board(ctx context.Context, key string, bypass bool, spec loadSpec, l *load, a arrival) (b boarding[V]) {
	by, name := t.names.Coordinate(key)
	id := flightKey{name: name, bypass: bypass}
	b.by, b.blind = by, a.blind
	var doubt bool
	b.joined, doubt, b.err = by.join(ctx, id, spec, l, a)
	if !doubt {
		return b
	}
	data, reply, err := t.peeker.Peek(ctx, key)
	if err != nil {
		if final(ctx, err) {
			b.err = err
			return b
		}
		a.blind, b.blind = true, true
	} else if reply.State == LeaseFound {
		value, _, s := t.decode(ctx, data)
		switch {
		case s.live():
			b.value = value
			t.served(ctx, s)
			return b
		case s.at == atNegative:
			b.err = ErrNotFound
			return b
		case s.at == atExpired:
			p, err := t.present(ctx, key)
			a.version, a.blind = p.base, err != nil
		}
	}
	a.seen = &reply
	b.joined, _, b.err = by.join(ctx, id, spec, l, a)
	return b
}

// final reports whether err ends the call. Any other error means that the cache
// cannot tell; then the source can.
func final(ctx context.Context, err error) bool {
	return ctx == nil || ctx.Err() != nil || errors.Is(err, ErrInvalidKey) || errors.Is(err, ErrKeyTooLong) ||
		errors.Is(err, ErrClosed) || errors.Is(err, ErrInvalidConfig) || errors.Is(err, ErrWrongType)
}

func (t *Typed[V]) spec(attempt int) loadSpec {
	return loadSpec{typ: reflect.TypeFor[V](), timeout: t.opts.LoadTimeout, patient: attempt >= patientAfter}
}

// run is one load of one key: the goroutine that a flight waits for.
type run[V any] struct {
	typed  *Typed[V]
	by     *Coordinator
	load   *load
	flight *flight
	key    string
	create func(context.Context, *Entry) (V, error)
	cached bool // whether the cache takes part

	background bool  // nobody waits for it: it is a refresh
	seen       sight // of an entry that it is to refresh

	right      right
	unfillable error // why the key may not be filled, where that is for the observer
	entry      Entry
	value      V
	outcome    error // what claim decided
	started    time.Time
	took       time.Duration
}

func (r *run[V]) do() {
	err := ErrLoaderGoexit
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
		r.deliver(err)
	}()
	if r.cached && r.claim() {
		err = r.outcome
		return
	}
	if ended := r.load.ctx.Err(); ended != nil {
		err = ended // nobody wants it any more
		return
	}
	r.typed.begin(r.by, r.flight)
	r.entry.tell = func(tokens []Token) { r.typed.named(r.by, r.flight, tokens) }
	hold := r.typed.hold(r.load, r.right.leases(r.by, r.flight, r.key)...)
	defer hold.end()
	r.started = time.Now()
	defer func() { r.took = time.Since(r.started) }()
	err = r.by.measured(r.load.ctx, func() (err error) {
		value, err := r.create(r.load.ctx, &r.entry)
		r.value, err = settled(&r.entry, value, err)
		return err
	})
}

// deliver stores what the loader brought and gives it to the callers.
func (r *run[V]) deliver(err error) {
	o := &object[V]{value: r.value}
	if errors.Is(err, ErrNotFound) && r.typed.opts.NegativeTTL > 0 {
		o.negative = true
	}
	wanted := r.cached && (err == nil || o.negative)
	if r.unfillable != nil && err == nil && !r.entry.NoStore {
		r.by.fillRefused(r.load.ctx, r.unfillable)
	}
	storeErr := shielded(func() error {
		b := brought[V]{object: o, entry: &r.entry, err: err, ran: !r.started.IsZero(), took: r.took}
		return r.typed.keep(r.by, r.flight, r.key, r.right, b, wanted)
	})
	if err == nil {
		err = storeErr
	}
	r.by.finish(r.flight, o, err)
	r.load.ended()
}

// typedKey names a default Typed in its coordinator.
type typedKey struct {
	cache Cache
	typ   reflect.Type
}

// defaultTyped returns the Typed[T] with default options that c's coordinator
// keeps for GetOrCreateExclusive.
func defaultTyped[T any](c Cache) (*Typed[T], error) {
	if isNil(c) {
		return nil, &OptionError{Option: "cache", Reason: "must not be nil", Err: ErrInvalidConfig}
	}
	if !reflect.TypeOf(c).Comparable() {
		return nil, fmt.Errorf("larder: a %T cannot be told from another: use NewTyped: %w", c, errors.ErrUnsupported)
	}
	co, err := coordinatorOf(c)
	if err != nil {
		return nil, err
	}
	id := typedKey{c, reflect.TypeFor[T]()}
	if t, ok := co.typed(id); ok {
		return t.(*Typed[T]), nil
	}
	return co.addTyped(id, NewTyped[T](c, nil)).(*Typed[T]), nil
}
