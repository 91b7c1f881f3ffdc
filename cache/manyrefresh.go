package cache

import (
	"context"
	"errors"
	"time"
)

// expired is a value that GetOrCreateMany may return if its load fails.
type expired[V any] struct {
	value V
	seen  sight
}

// takeAged notes that a value was returned that may have to be refreshed.
func (m *many[K, V]) takeAged(ctx context.Context, n named[K], s sight) {
	if s.at == atValue {
		return
	}
	n.seen = s
	if m.typed.suffices(ctx, n.key, s) {
		return
	}
	m.typed.served(ctx, s)
	m.aged = append(m.aged, n)
}

// takeExpired reports whether an expired value is to be returned without a load,
// because the last one failed just now. If not it is kept for when this one does.
func (m *many[K, V]) takeExpired(ctx context.Context, n named[K], a answer[V]) bool {
	by, name := m.typed.names.Coordinate(n.key)
	if note := by.noted(name); note.err != nil && time.Now().Before(note.retry) {
		m.found[n.id] = a.value
		m.typed.served(ctx, a.seen)
		return true
	}
	if m.expired == nil {
		m.expired = make(map[K]expired[V])
	}
	m.expired[n.id] = expired[V]{a.value, a.seen}
	return false
}

// softTimeout returns how long to wait for a load of list: as long as the most
// patient says, if there is a value for each to fall back on, and else 0.
func (m *many[K, V]) softTimeout(list []named[K]) (most time.Duration) {
	for _, n := range list {
		if n.seen.at != atExpired || n.seen.patience == 0 {
			return 0
		}
		most = max(most, n.seen.patience)
	}
	return most
}

// tookTooLong notes that the load of an expired value ended with err, if that is
// because of its time: the loader may never return.
func (m *many[K, V]) tookTooLong(w aboard[K], err error) {
	if w.seen.at == atExpired && errors.Is(err, ErrLoadTimeout) {
		m.typed.noteFailure(w.by, w.flight, Freshness{}, true, err)
	}
}

// fallBack takes the expired values that are still there after a load of list
// failed. The failure is the caller's only if an id is left without a value.
func (m *many[K, V]) fallBack(ctx context.Context, list []named[K], failure error) (err error) {
	for _, n := range list {
		if _, ok := m.found[n.id]; ok {
			continue
		}
		e, ok := m.expired[n.id]
		if !ok {
			err = failure
			continue
		}
		value, gone, _ := m.typed.fallBack(ctx, n.key, e.value, e.seen, failure)
		switch {
		case gone == nil:
			m.found[n.id] = value
		case !errors.Is(gone, ErrNotFound):
			err = failure
		}
	}
	return err
}

// refresh begins to load in the background what is to be refreshed.
func (m *many[K, V]) refresh(ctx context.Context) {
	if len(m.aged) == 0 {
		return
	}
	t := m.typed
	spec := t.spec(0)
	batch := &batchRun[K, V]{many: m, by: t.shared, cached: true, background: true}
	batch.shared = t.shared.newLoad(ctx, spec, namesOf(t, m.aged)...)
	batch.shared.wanted.Add(1) // until all have begun
	for _, n := range m.aged {
		by, name := t.names.Coordinate(n.key)
		if j := by.refresh(ctx, name, spec, batch.shared); j.flight != nil {
			batch.legs = append(batch.legs, leg[K, V]{named: n, by: by, flight: j.flight})
		}
	}
	if len(batch.legs) == 0 {
		batch.shared.cancel(nil)
		return
	}
	go batch.do()
	batch.shared.unwanted(ErrInvalidated)
}

// claimPresent asks for the right to replace the entries that were seen, and
// returns the legs without one.
func (b *batchRun[K, V]) claimPresent() (absent []*leg[K, V]) {
	for i := range b.legs {
		l := &b.legs[i]
		if l.seen.at != atAhead && l.seen.at != atStale && l.seen.at != atExpired || b.stand(l) {
			absent = append(absent, l)
		}
	}
	return absent
}

// stand is what run.claimPresent does, for one leg. It reports whether the key is
// to be claimed as an absent one. It never waits for another process: then its
// result is not stored.
func (b *batchRun[K, V]) stand(l *leg[K, V]) (absent bool) {
	t := b.many.typed
	p, st := t.stand(b.shared.ctx, l.by, l.flight, l.key, l.seen, true)
	switch {
	case st == standingReady:
		l.cached, l.right = true, right{replace: true, base: p.base, guard: p.guard}
		l.entry.previous, l.entry.previousETag = &p.value, p.etag
		return false
	case st == standingDecided:
		l.decided, l.value = true, p.value
		if p.seen.at == atNegative {
			l.err = ErrNotFound
		}
		return false
	case !b.background && st == standingGone:
		return true
	case !b.background:
		l.unfillable = errBusy
		return false
	case st != standingGone:
		t.noteQuiet(l.by, l.flight, Freshness{})
	}
	l.decided, l.err = true, ErrAbandoned // who waits for it looks anew
	return false
}

// unmodified makes the values from before the result, if there is one for each id
// that was to be loaded.
func (b *batchRun[K, V]) unmodified() bool {
	result := make(map[K]V, len(b.legOf))
	for _, l := range b.legOf {
		value, ok := Previous[V](&l.entry)
		if !ok {
			return false
		}
		if l.entry.ETag == "" {
			l.entry.ETag = l.entry.previousETag
		}
		result[l.id] = value
	}
	b.result = result
	return true
}
