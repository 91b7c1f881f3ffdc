package cache

import "context"

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
