package cache

import (
	"context"
	"errors"
)

// GetOrCreateMany returns the values of ids, each cached under key(id). It
// calls load once with the ids that are neither cached nor being loaded by
// somebody else, waits for the latter, and stores what load returned, with the
// options that load leaves in its *Entry, and in Entry.At(i) for the i-th id. An id that the source does not have
// is absent from the result, and becomes a negative entry if
// TypedOptions.NegativeTTL allows.
//
// Duplicate ids count once, no ids need no load. What load returns beyond the
// ids it was asked for is ignored. An error of load is returned and nothing of
// that load is stored; the map then holds what was found without it. In
// everything else each id behaves as in Typed.GetOrCreateExclusive.
//
// Values that age (see Freshness) are returned while they are stale, and
// refreshed by another call of load, in the background; expired ones are returned
// if load fails, or takes longer than the SoftTimeout of each that it is called
// for. In a load, Entry.At(i) tells whether the i-th id is refreshed, and what it
// was; ErrNotModified is for all of them or none, so a load that returns it must
// be one of only such ids. Errors are not cached.
//
// key must give distinct ids distinct keys. On Redis it costs one round trip
// per node for what is cached, and two more for what is loaded.
func GetOrCreateMany[K comparable, V any](ctx context.Context, t *Typed[V], ids []K, key func(K) string, load func(context.Context, []K, *Entry) (map[K]V, error)) (map[K]V, error) {
	if load == nil || key == nil {
		return nil, ErrNilLoader
	}
	if err := t.ready(ctx); err != nil {
		return nil, err
	}
	m := &many[K, V]{typed: t, load: load, found: make(map[K]V, len(ids))}
	missing, err := m.lookup(ctx, m.distinct(ids, key))
	if err != nil {
		return nil, err
	}
	m.refresh(ctx)
	for attempt := 0; len(missing) > 0; attempt++ {
		list := missing
		if missing, err = m.round(ctx, list, attempt); err == nil {
			continue
		}
		if ctx.Err() == nil && isFailure(err) {
			err = m.fallBack(ctx, list, err)
		}
		return m.found, err
	}
	return m.found, nil
}

// named is an id with its key.
type named[K comparable] struct {
	id    K
	key   string
	since uint64 // see arrival
	seen  sight  // of a value that is not fresh
}

// many is one call of GetOrCreateMany.
type many[K comparable, V any] struct {
	typed *Typed[V]
	load  func(context.Context, []K, *Entry) (map[K]V, error)
	found map[K]V
	blind bool // the cache could not be asked: do not fill it either

	aged    []named[K]       // are to be refreshed
	expired map[K]expired[V] // may be returned if the load fails
}

func (m *many[K, V]) distinct(ids []K, key func(K) string) []named[K] {
	seen := make(map[K]struct{}, len(ids))
	list := make([]named[K], 0, len(ids))
	for _, id := range ids {
		if _, again := seen[id]; !again {
			seen[id] = struct{}{}
			k := key(id)
			list = append(list, named[K]{id: id, key: k, since: m.typed.begun(k)})
		}
	}
	return list
}

// lookup takes what is cached into m.found and returns what is not.
func (m *many[K, V]) lookup(ctx context.Context, list []named[K]) (missing []named[K], err error) {
	for i, a := range m.typed.lookupMany(ctx, keysOf(list)) {
		switch {
		case a.err != nil && final(ctx, a.err):
			return nil, a.err
		case a.seen.live():
			m.found[list[i].id] = a.value
			m.takeAged(ctx, list[i], a.seen)
		case a.seen.at == atExpired && m.takeExpired(ctx, list[i], a):
		case a.seen.at != atNegative:
			m.blind = m.blind || a.err != nil
			list[i].seen = a.seen
			missing = append(missing, list[i])
		}
	}
	return missing, nil
}

// aboard is an id that waits for a flight.
type aboard[K comparable] struct {
	named[K]
	joined
	by *Coordinator
}

// round joins or starts a flight for each of list and waits for all. It
// returns those whose callers were sent back.
func (m *many[K, V]) round(ctx context.Context, list []named[K], attempt int) (again []named[K], err error) {
	waiting, err := m.board(ctx, list, attempt)
	patience, stop := m.typed.patience(m.softTimeout(list))
	defer stop()
	for _, w := range waiting {
		if err != nil {
			m.tookTooLong(w, err)
			w.by.leave(w.flight)
			continue
		}
		value, waitErr, sent := w.by.wait(ctx, w.joined, patience)
		switch {
		case sent:
			again = append(again, w.named)
		case waitErr == errImpatient: //nolint:errorlint // this very error
			return again, ErrLoadTimeout // and leaves none, so that the load goes on
		case waitErr == nil:
			m.found[w.id] = value.(*object[V]).value
		case !errors.Is(waitErr, ErrNotFound):
			err = waitErr
			m.tookTooLong(w, err)
		}
	}
	return again, err
}

// board joins the flight of each of list, and runs those that it started as
// one load. On an error those that wait already are returned with it.
func (m *many[K, V]) board(ctx context.Context, list []named[K], attempt int) (waiting []aboard[K], err error) {
	t := m.typed
	spec := t.spec(attempt)
	bypass := t.bypassed(ctx)
	batch := &batchRun[K, V]{many: m, by: t.shared, cached: !bypass && !m.blind}
	batch.shared = batch.by.newLoad(ctx, spec, namesOf(t, list)...)
	batch.shared.wanted.Add(1) // until all have boarded
	for _, n := range list {
		a := arrival{shared: t.peeker != nil && !bypass, since: n.since, blind: m.blind}
		b := t.board(ctx, n.key, bypass, spec, batch.shared, a)
		switch {
		case b.flight != nil:
			waiting = append(waiting, aboard[K]{n, b.joined, b.by})
			if b.led {
				batch.legs = append(batch.legs, leg[K, V]{named: n, by: b.by, flight: b.flight})
			}
		case b.err == nil:
			m.found[n.id] = b.value
		case !errors.Is(b.err, ErrNotFound):
			err = b.err
		}
		if err != nil {
			break
		}
	}
	if len(batch.legs) == 0 {
		batch.shared.cancel(nil)
		return waiting, err
	}
	go batch.do()
	batch.shared.unwanted(ErrInvalidated)
	return waiting, err
}

func keysOf[K comparable](list []named[K]) []string {
	keys := make([]string, len(list))
	for i, n := range list {
		keys[i] = n.key
	}
	return keys
}

func namesOf[K comparable, V any](t *Typed[V], list []named[K]) []string {
	names := make([]string, len(list))
	for i, n := range list {
		_, names[i] = t.names.Coordinate(n.key)
	}
	return names
}

// answer is what a look-up brought for one key.
type answer[V any] struct {
	value V
	seen  sight
	err   error
}

// lookupMany is lookup for many keys, in one round trip per node if the cache
// can.
func (t *Typed[V]) lookupMany(ctx context.Context, keys []string) []answer[V] {
	if t.near != nil && !t.bypassed(ctx) {
		return t.lookupManyNear(ctx, keys)
	}
	answers := make([]answer[V], len(keys))
	if t.objects != nil || t.batcher == nil || t.bypassed(ctx) {
		for i, key := range keys {
			a := &answers[i]
			a.value, a.seen, a.err = t.lookup(ctx, key)
		}
		return answers
	}
	results, err := t.batcher.GetMany(ctx, keys)
	for i := range answers {
		a := &answers[i]
		switch {
		case err != nil:
			a.err = err
		case results[i].Err != nil:
			a.err = results[i].Err
		case results[i].Found:
			a.value, _, a.seen = t.decode(ctx, results[i].Value)
		}
	}
	return answers
}
