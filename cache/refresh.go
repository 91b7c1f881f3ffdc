package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
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

// present is an entry that is there, and the right to replace it.
type present[V any] struct {
	value  V
	seen   sight
	etag   string
	base   Version // zero: the cache has no versions, and only this Typed writes it
	locked bool
	order  uint64
	tokens []Token

	guard Lease // keeps other processes from refreshing it, too
}

// right is the right to store what a load brings: a lease of an absent key, or an
// entry to be replaced.
type right struct {
	lease   Lease
	replace bool
	base    Version
	guard   Lease
}

// present reads the entry under key with its version.
func (t *Typed[V]) present(ctx context.Context, key string) (p present[V], err error) {
	if t.own != nil {
		data, ok, err := t.cache.Get(ctx, key)
		if !ok || err != nil {
			return p, err
		}
		var etag []byte
		p.value, etag, p.seen = t.decode(ctx, data)
		p.etag = string(etag)
		return p, nil
	}
	if t.objects != nil {
		item, ok, err := t.changers.objectVersioner.GetObjectItem(ctx, key)
		if !ok || err != nil {
			return p, err
		}
		p.value, p.etag, p.seen = t.unhold(ctx, item.Value)
		p.base, p.locked, p.order, p.tokens = item.Version, item.Locked, item.Order, item.Tokens
		return p, nil
	}
	item, ok, err := t.changers.versioner.GetItem(ctx, key)
	if !ok || err != nil {
		return p, err
	}
	var etag []byte
	p.value, etag, p.seen = t.decode(ctx, item.Value)
	p.etag = string(etag)
	p.base, p.locked, p.order, p.tokens = item.Version, item.Locked, item.Order, item.Tokens
	return p, nil
}

// refreshed reports whether the entry is by now what seen was to become.
func (p *present[V]) refreshed(seen sight) bool {
	switch p.seen.at {
	case atNegative:
		return true
	case atStale:
		return seen.at == atExpired
	case atValue, atAhead:
		return seen.at != atAhead || p.seen.age < seen.age
	}
	return false
}

// kept reports whether the entry is to be left as it is: locked, or stored in
// its source's order and not expired.
func (p *present[V]) kept() bool { return p.locked || p.order != 0 && p.seen.at != atExpired }

// guardKey is the key whose lease is the right to refresh the entry under key. It
// has the same hash tag, if any. There is never a value under it.
func guardKey(key string) string {
	const prefix = "larder refresh\x00"
	if len(prefix)+len(key) <= MaxKeyLength {
		return prefix + key
	}
	sum := sha256.Sum256([]byte(key))
	return prefix + "\x00" + string(sum[:])
}

// takeGuard asks for the right to refresh key, where other processes might. If
// another has it the caller waits for its end, if it wants to. A cache that cannot
// be asked gives no right: then nobody may store.
func (t *Typed[V]) takeGuard(ctx context.Context, key string, wait bool) (guard Lease, state LeaseState, err error) {
	if t.peeker == nil {
		return Lease{}, LeaseGranted, nil
	}
	name := guardKey(key)
	if !wait {
		reply, err := t.leaser.Lease(ctx, name, t.leaseTime())
		return reply.Lease, reply.State, err
	}
	f := follower{waker: t.waker}
	defer f.end()
	for {
		reply, hinted, err := t.follow(ctx, name, &f)
		if !hinted {
			return reply.Lease, reply.State, err
		}
	}
}

// standing is what a load that is to refresh an entry found.
type standing uint8

const (
	standingReady   standing = iota // the entry is the load's to replace
	standingDecided                 // there is a value that will do, or a negative entry
	standingGone                    // there is no entry
	standingBusy                    // somebody else refreshes it, or it is to be left alone
	standingBlind                   // the cache cannot be asked, or gives no right: load and do not store
)

// stand finds out whether the entry under key, seen before, is f's to refresh. The
// version is read before the load begins, so that the entry is replaced only if
// nothing was written since.
func (t *Typed[V]) stand(ctx context.Context, by *Coordinator, f *flight, key string, seen sight, background bool) (p present[V], st standing) {
	guard, state, err := t.takeGuard(ctx, key, !background)
	switch {
	case err != nil:
		return p, standingBlind
	case state != LeaseGranted:
		return p, standingBusy
	}
	by.setReading(f, true)
	p, err = t.present(ctx, key)
	p.guard = guard
	switch {
	case err != nil:
		st = standingBlind
	case p.refreshed(seen):
		st = standingDecided
	case p.seen.live() || p.seen.at == atExpired:
		st = standingReady
		if p.kept() {
			st = standingBusy
		}
	default:
		by.setReading(f, false)
		st = standingGone
	}
	if st != standingReady {
		t.release(ctx, guardKey(key), guard)
		return p, st
	}
	by.setBase(f, p.base, p.tokens)
	return p, st
}

// renew stores o in the place of the entry that the load found, or, if store is
// false, removes that.
func (t *Typed[V]) renew(ctx context.Context, by *Coordinator, f *flight, key string, o *object[V], r right, store bool, opts EntryOptions) error {
	if t.own != nil {
		return t.renewAlone(ctx, by, f, key, o, store, opts)
	}
	p, err := t.presentAs(ctx, key, r.base)
	if err != nil {
		return err
	}
	if p.locked {
		return ErrLocked
	}
	if !by.beginStoring(f) {
		return ErrInvalidated
	}
	if !store {
		_, err := t.changers.versioner.RemoveVersion(ctx, key, r.base)
		return err
	}
	if t.objects != nil {
		_, err = t.changers.objectVersioner.CompareAndSetObject(ctx, key, t.held(o), r.base, opts)
		return err
	}
	data, err := t.encode(o)
	if err != nil {
		return &OpError{Op: "encode", Key: key, Err: err}
	}
	_, err = t.changers.versioner.CompareAndSet(ctx, key, data, r.base, opts)
	return err
}

// presentAs tells whether the entry is locked by now. Its value is not wanted.
func (t *Typed[V]) presentAs(ctx context.Context, key string, base Version) (p present[V], err error) {
	var found bool
	if t.objects != nil {
		item, ok, itemErr := t.changers.objectVersioner.GetObjectItem(ctx, key)
		p.base, p.locked, found, err = item.Version, item.Locked, ok, itemErr
	} else {
		item, _, ok, itemErr := t.changers.versioner.GetIfNewer(ctx, key, base)
		p.base, p.locked, found, err = item.Version, item.Locked, ok, itemErr
	}
	if err == nil && (!found || p.base != base) {
		err = ErrInvalidated
	}
	return p, err
}

func (t *Typed[V]) renewAlone(ctx context.Context, by *Coordinator, f *flight, key string, o *object[V], store bool, opts EntryOptions) (err error) {
	ran := by.guardedFill(f, func() {
		if store {
			err = t.put(ctx, key, o, opts)
		} else {
			err = t.cache.Remove(ctx, key)
		}
	})
	if !ran {
		return ErrInvalidated
	}
	return err
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
