package cachetest

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
)

// hook is what a layer does to the calls that pass through it.
type hook interface {
	// name returns what the cache below knows key by.
	name(key string) string
	// call runs one call. op is its name, as in "get_many"; key is empty if it
	// is not about a single key. do does it on the cache below, and is not
	// called more than once.
	call(ctx context.Context, op, key string, do func(ctx context.Context, key string) error) error
}

// newLayer puts a layer over c that has the capabilities of c, if these are
// all there are but Peeker, or all that a remote cache has (Peeker may be missing,
// and so may Regions, and all that is about versions, locks and write marks); over
// any other cache it has the four methods. A layer that does without Regions does
// so though c has them.
func newLayer(c cache.Cache, h hook) cache.Cache {
	var ok [6]bool
	l := &layer{hook: h, below: c}
	l.batcher, ok[0] = cache.As[cache.Batcher](c)
	l.counter, ok[1] = cache.As[cache.Counter](c)
	l.leaser, ok[2] = cache.As[cache.Leaser](c)
	l.appender, ok[3] = cache.As[cache.Appender](c)
	l.coordinated, ok[4] = cache.As[cache.Coordinated](c)
	l.backend, ok[5] = cache.As[cache.Backend](c)
	if ok != [6]bool{true, true, true, true, true, true} {
		return l
	}
	var holds, clears, peeks, versions, locks, marks, orders, objectVersions, objectLocks, tracks bool
	l.objects, holds = cache.As[cache.Objects](c)
	l.clearer, clears = cache.As[cache.Clearer](c)
	l.peeker, peeks = cache.As[cache.Peeker](c)
	l.versioner, versions = cache.As[cache.Versioner](c)
	l.locker, locks = cache.As[cache.Locker](c)
	l.marker, marks = cache.As[cache.WriteMarker](c)
	l.ordered, orders = cache.As[cache.Ordered](c)
	l.objectVersioner, objectVersions = cache.As[cache.ObjectVersioner](c)
	l.objectLocker, objectLocks = cache.As[cache.ObjectLocker](c)
	l.regions, tracks = cache.As[cache.Regions](c)

	remote := remoteLayer{l, (*batchLayer)(l), (*counterLayer)(l), (*leaseLayer)(l), (*backendLayer)(l)}
	object, peek, region := (*objectLayer)(l), (*peekLayer)(l), (*regionLayer)(l)
	version := versionedLayer{(*versionLayer)(l), (*lockLayer)(l), (*markLayer)(l), (*orderLayer)(l)}
	holds = holds && clears
	switch changes := versions && locks && marks && orders; {
	case holds && changes && objectVersions && objectLocks && tracks:
		return &struct {
			remoteLayer
			*objectLayer
			versionedLayer
			*objectVersionLayer
			*regionLayer
		}{remote, object, version, (*objectVersionLayer)(l), region}
	case peeks && changes && tracks:
		return &struct {
			remoteLayer
			*peekLayer
			versionedLayer
			*regionLayer
		}{remote, peek, version, region}
	case holds && changes && objectVersions && objectLocks:
		return &struct {
			remoteLayer
			*objectLayer
			versionedLayer
			*objectVersionLayer
		}{remote, object, version, (*objectVersionLayer)(l)}
	case peeks && changes:
		return &struct {
			remoteLayer
			*peekLayer
			versionedLayer
		}{remote, peek, version}
	case changes:
		return &struct {
			remoteLayer
			versionedLayer
		}{remote, version}
	case holds:
		return &struct {
			remoteLayer
			*objectLayer
		}{remote, object}
	case peeks:
		return &struct {
			remoteLayer
			*peekLayer
		}{remote, peek}
	}
	return &remote
}

type remoteLayer struct {
	*layer
	*batchLayer
	*counterLayer
	*leaseLayer
	*backendLayer
}

type versionedLayer struct {
	*versionLayer
	*lockLayer
	*markLayer
	*orderLayer
}

// layer is the four methods; the other types add to it.
type layer struct {
	hook  hook
	below cache.Cache

	batcher     cache.Batcher
	counter     cache.Counter
	objects     cache.Objects
	leaser      cache.Leaser
	appender    cache.Appender
	clearer     cache.Clearer
	coordinated cache.Coordinated
	backend     cache.Backend
	peeker      cache.Peeker
	versioner   cache.Versioner
	locker      cache.Locker
	marker      cache.WriteMarker
	ordered     cache.Ordered

	objectVersioner cache.ObjectVersioner
	objectLocker    cache.ObjectLocker
	regions         cache.Regions
}

func (l *layer) Get(ctx context.Context, key string) (value []byte, found bool, err error) {
	err = l.hook.call(ctx, "get", l.hook.name(key), func(ctx context.Context, key string) error {
		value, found, err = l.below.Get(ctx, key)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return value, found, nil
}

func (l *layer) Set(ctx context.Context, key string, value []byte, opts cache.EntryOptions) error {
	return l.hook.call(ctx, "set", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.below.Set(ctx, key, value, opts)
	})
}

func (l *layer) Refresh(ctx context.Context, key string) error {
	return l.hook.call(ctx, "refresh", l.hook.name(key), l.below.Refresh)
}

func (l *layer) Remove(ctx context.Context, key string) error {
	return l.hook.call(ctx, "remove", l.hook.name(key), l.below.Remove)
}

// namesOf maps keys that stay in their order.
func namesOf(h hook, keys []string) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = h.name(key)
	}
	return names
}

type batchLayer layer

func (l *batchLayer) GetMany(ctx context.Context, keys []string) (results []cache.Result, err error) {
	err = l.hook.call(ctx, "get_many", "", func(ctx context.Context, _ string) error {
		results, err = l.batcher.GetMany(ctx, namesOf(l.hook, keys))
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

func (l *batchLayer) SetMany(ctx context.Context, items []cache.Item) error {
	named := make([]cache.Item, len(items))
	for i, item := range items {
		named[i] = item
		named[i].Key = l.hook.name(item.Key)
	}
	return l.hook.call(ctx, "set_many", "", func(ctx context.Context, _ string) error {
		return l.batcher.SetMany(ctx, named)
	})
}

func (l *batchLayer) RemoveMany(ctx context.Context, keys []string) error {
	return l.hook.call(ctx, "remove_many", "", func(ctx context.Context, _ string) error {
		return l.batcher.RemoveMany(ctx, namesOf(l.hook, keys))
	})
}

// AppendTo is beside the batches because every cache that has the one has the
// other, as far as layers go.
func (l *batchLayer) AppendTo(ctx context.Context, dst []byte, key string) (value []byte, found bool, err error) {
	err = l.hook.call(ctx, "append_to", l.hook.name(key), func(ctx context.Context, key string) error {
		value, found, err = l.appender.AppendTo(ctx, dst, key)
		return err
	})
	if err != nil {
		return dst, false, err
	}
	return value, found, nil
}

type counterLayer layer

func (l *counterLayer) Increment(ctx context.Context, key string, delta int64, opts cache.EntryOptions) (n int64, err error) {
	err = l.hook.call(ctx, "increment", l.hook.name(key), func(ctx context.Context, key string) error {
		n, err = l.counter.Increment(ctx, key, delta, opts)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (l *counterLayer) Count(ctx context.Context, key string) (n int64, found bool, err error) {
	err = l.hook.call(ctx, "count", l.hook.name(key), func(ctx context.Context, key string) error {
		n, found, err = l.counter.Count(ctx, key)
		return err
	})
	if err != nil {
		return 0, false, err
	}
	return n, found, nil
}

type leaseLayer layer

func (l *leaseLayer) Lease(ctx context.Context, key string, ttl time.Duration) (reply cache.LeaseReply, err error) {
	err = l.hook.call(ctx, "lease", l.hook.name(key), func(ctx context.Context, key string) error {
		reply, err = l.leaser.Lease(ctx, key, ttl)
		return err
	})
	if err != nil {
		return cache.LeaseReply{}, err
	}
	return reply, nil
}

func (l *leaseLayer) LeaseMany(ctx context.Context, keys []string, ttl time.Duration) (replies []cache.LeaseReply, err error) {
	err = l.hook.call(ctx, "lease_many", "", func(ctx context.Context, _ string) error {
		replies, err = l.leaser.LeaseMany(ctx, namesOf(l.hook, keys), ttl)
		return err
	})
	if err != nil {
		return nil, err
	}
	return replies, nil
}

func (l *leaseLayer) Release(ctx context.Context, key string, lease cache.Lease) error {
	return l.hook.call(ctx, "release", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.leaser.Release(ctx, key, lease)
	})
}

func (l *leaseLayer) Extend(ctx context.Context, key string, lease cache.Lease, ttl time.Duration) (stands bool, err error) {
	err = l.hook.call(ctx, "extend", l.hook.name(key), func(ctx context.Context, key string) error {
		stands, err = l.leaser.Extend(ctx, key, lease, ttl)
		return err
	})
	return stands && err == nil, err
}

type peekLayer layer

func (l *peekLayer) Peek(ctx context.Context, key string) (value []byte, reply cache.LeaseReply, err error) {
	err = l.hook.call(ctx, "peek", l.hook.name(key), func(ctx context.Context, key string) error {
		value, reply, err = l.peeker.Peek(ctx, key)
		return err
	})
	if err != nil {
		return nil, cache.LeaseReply{}, err
	}
	return value, reply, nil
}

type objectLayer layer

func (l *objectLayer) GetObject(ctx context.Context, key string) (value any, found bool, err error) {
	err = l.hook.call(ctx, "get_object", l.hook.name(key), func(ctx context.Context, key string) error {
		value, found, err = l.objects.GetObject(ctx, key)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return value, found, nil
}

func (l *objectLayer) SetObject(ctx context.Context, key string, value any, opts cache.EntryOptions) error {
	return l.hook.call(ctx, "set_object", l.hook.name(key), func(ctx context.Context, key string) error {
		return l.objects.SetObject(ctx, key, value, opts)
	})
}

func (l *objectLayer) Clear(ctx context.Context) error {
	return l.hook.call(ctx, "clear", "", func(ctx context.Context, _ string) error { return l.clearer.Clear(ctx) })
}

type backendLayer layer

func (l *backendLayer) Coordinate(key string) (*cache.Coordinator, string) {
	return l.coordinated.Coordinate(l.hook.name(key))
}

func (l *backendLayer) Stats() cache.Stats              { return l.backend.Stats() }
func (l *backendLayer) Close(ctx context.Context) error { return l.backend.Close(ctx) }
