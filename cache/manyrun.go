package cache

import (
	"context"
	"errors"
	"time"
)

// batchRun is the load that one call of GetOrCreateMany started: one call of
// the loader for many flights.
type batchRun[K comparable, V any] struct {
	many   *many[K, V]
	by     *Coordinator // for counters
	shared *load
	cached bool // whether the cache takes part
	legs   []leg[K, V]

	entry  Entry
	legOf  []*leg[K, V] // of the i-th id that is being loaded
	result map[K]V

	background bool // as in run
	started    time.Time
	took       time.Duration
}

// leg is one flight of a batch.
type leg[K comparable, V any] struct {
	named[K]
	by     *Coordinator
	flight *flight

	cached     bool // whether to store the result
	right      right
	unfillable error // as in run
	decided    bool  // value and err are known without the loader
	value      V
	err        error

	entry Entry // what the loader said of this id
}

func (b *batchRun[K, V]) do() {
	err := ErrLoaderGoexit
	defer func() {
		if p := recover(); p != nil {
			err = newPanicError(p)
		}
		b.deliver(err)
	}()
	if b.cached {
		b.claim()
	}
	ids := b.begin()
	if len(ids) == 0 {
		err = nil
		return
	}
	leases := make([]leased, 0, len(b.legOf))
	for _, l := range b.legOf {
		leases = append(leases, l.right.leases(l.by, l.flight, l.key)...)
	}
	hold := b.many.typed.hold(b.shared, leases...)
	defer hold.end()
	b.started = time.Now()
	defer func() { b.took = time.Since(b.started) }()
	err = b.by.measured(b.shared.ctx, func() (err error) {
		b.result, err = b.many.load(b.shared.ctx, ids, &b.entry)
		if errors.Is(err, ErrNotModified) && b.unmodified() {
			err = nil
		}
		return err
	})
}

// begin notes that the legs that are not decided begin to read, and returns their
// ids.
func (b *batchRun[K, V]) begin() (ids []K) {
	t := b.many.typed
	for i := range b.legs {
		if l := &b.legs[i]; !l.decided {
			ids, b.legOf = append(ids, l.id), append(b.legOf, l)
			t.begin(l.by, l.flight)
		}
	}
	b.entry.tell = func(tokens []Token) {
		for _, l := range b.legOf {
			t.named(l.by, l.flight, tokens)
		}
	}
	b.entry.at = func(i int) *Entry {
		l := b.legOf[i]
		l.entry.tell = func(tokens []Token) { t.named(l.by, l.flight, tokens) }
		return &l.entry
	}
	return ids
}

// entryOf returns what the loader said of the leg's entry and of all.
func (b *batchRun[K, V]) entryOf(l *leg[K, V]) *Entry {
	e := l.entry
	e.Freshness = e.Freshness.or(b.entry.Freshness)
	e.EntryOptions = e.Inherit(b.entry.EntryOptions)
	e.NoStore = e.NoStore || b.entry.NoStore
	return &e
}

// claim asks for the right to fill each key, and looks again at those that have
// a value by now.
func (b *batchRun[K, V]) claim() {
	t := b.many.typed
	legs := b.claimPresent()
	look := make([]*leg[K, V], 0, len(legs))
	if t.leaser == nil {
		look = append(look, legs...)
	} else if len(legs) > 0 {
		replies, err := t.leaser.LeaseMany(b.shared.ctx, keysOfLegs(legs), t.leaseTime())
		if err != nil {
			return // load without the cache
		}
		for i, r := range replies {
			l := legs[i]
			l.by.setClaim(l.flight, r)
			switch {
			case r.Err == nil && r.State == LeaseGranted:
				l.right.lease, l.cached = r.Lease, true
			case r.Err == nil && r.State == LeaseFound:
				look = append(look, l)
			case r.Err == nil && r.State == LeaseMarked:
				l.unfillable = ErrBeingWritten
			}
		}
	}
	keys := make([]string, len(look))
	for i, l := range look {
		keys[i] = l.key
		l.by.setReading(l.flight, true)
	}
	for i, a := range t.lookupMany(b.shared.ctx, keys) {
		b.take(look[i], a)
	}
}

// take is what run.claim does with a look-up, for one leg.
func (b *batchRun[K, V]) take(l *leg[K, V], a answer[V]) {
	t, ctx := b.many.typed, b.shared.ctx
	switch {
	case a.seen.live():
		l.decided, l.value = true, a.value
	case a.seen.at == atNegative:
		l.decided, l.err = true, ErrNotFound
	case a.seen.at == atExpired:
		l.seen = a.seen
		b.stand(l)
	case t.leaser == nil:
		l.cached = a.err == nil
	case a.seen.at == atUndecodable:
		l.by.setReading(l.flight, false)
		if t.remove(ctx, l.key) != nil {
			return
		}
		if reply, err := t.leaser.Lease(ctx, l.key, t.leaseTime()); err == nil && reply.State == LeaseGranted {
			l.by.setClaim(l.flight, reply)
			l.right.lease, l.cached = reply.Lease, true
		}
	}
}

func keysOfLegs[K comparable, V any](legs []*leg[K, V]) []string {
	keys := make([]string, len(legs))
	for i := range legs {
		keys[i] = legs[i].key
	}
	return keys
}

// deliver stores what the loader brought and gives each flight its outcome.
func (b *batchRun[K, V]) deliver(err error) {
	for i := range b.legs {
		l := &b.legs[i]
		if l.decided {
			continue
		}
		l.err = err
		if err == nil {
			var ok bool
			if l.value, ok = b.result[l.id]; !ok {
				l.err = ErrNotFound
			}
		}
	}
	objects := make([]*object[V], len(b.legs))
	for i := range objects {
		objects[i] = &object[V]{value: b.legs[i].value}
	}
	storeErr := shielded(func() error { return b.store(objects) })
	for i := range b.legs {
		l := &b.legs[i]
		if l.err == nil && !l.decided {
			l.err = storeErr
		}
		l.by.finish(l.flight, objects[i], l.err)
	}
	b.shared.ended()
}

// store stores what may be stored, in one round trip per node if the cache can.
func (b *batchRun[K, V]) store(objects []*object[V]) (err error) {
	t := b.many.typed
	ctx := context.WithoutCancel(b.shared.ctx)
	var items []Item
	var fills []legFill[K, V]
	for i := range b.legs {
		l, o, e := &b.legs[i], objects[i], b.entryOf(&b.legs[i])
		o.negative = t.opts.NegativeTTL > 0 && errors.Is(l.err, ErrNotFound)
		if l.unfillable != nil && l.err == nil && !b.entry.NoStore {
			l.by.fillRefused(ctx, l.unfillable)
		}
		wanted := l.cached && !l.decided && (l.err == nil || o.negative)
		if t.objects != nil || t.batcher == nil || t.leaser == nil || l.right.replace {
			brought := brought[V]{object: o, entry: e, err: l.err, ran: l.right.replace && !b.started.IsZero(), took: b.took}
			err = errors.Join(err, t.keep(l.by, l.flight, l.key, l.right, brought, wanted))
			continue
		}
		opts := t.entryOptions(o, e, l.right.lease)
		f := legFill[K, V]{l, l.by.names(l.flight, opts.Tokens, t.peeker != nil)}
		if !t.mayStore(ctx, l.by, l.flight, l.key, l.right.lease, wanted && !e.NoStore) {
			t.resolve(ctx, l.by, l.flight, f.depends, false, nil)
			continue
		}
		fillErr := t.ageing(o, &opts, e.Freshness, b.took, e.ETag)
		if fillErr == nil {
			fillErr = t.fillable(&opts, f.depends.since)
		}
		var data []byte
		if fillErr == nil {
			data, fillErr = t.encode(o)
		}
		if fillErr != nil {
			err = errors.Join(err, b.filled(ctx, f, fillErr))
			continue
		}
		items, fills = append(items, Item{Key: l.key, Value: data, Options: opts}), append(fills, f)
	}
	return errors.Join(err, b.storeMany(ctx, items, fills))
}

// legFill is the fill of one leg of a batch.
type legFill[K comparable, V any] struct {
	*leg[K, V]
	depends dependence
}

func (b *batchRun[K, V]) storeMany(ctx context.Context, items []Item, fills []legFill[K, V]) (err error) {
	if len(items) == 0 {
		return nil
	}
	setErr := b.many.typed.batcher.SetMany(ctx, items)
	var each *BatchError
	perItem := errors.As(setErr, &each)
	for i, f := range fills {
		itemErr := setErr
		if perItem {
			itemErr = each.Errs[i]
		}
		err = errors.Join(err, b.filled(ctx, f, itemErr))
	}
	return err
}

// filled settles the fill of one leg.
func (b *batchRun[K, V]) filled(ctx context.Context, f legFill[K, V], err error) error {
	t := b.many.typed
	t.resolve(ctx, f.by, f.flight, f.depends, true, err)
	return t.stored(ctx, f.by, f.key, f.right.lease, err)
}
