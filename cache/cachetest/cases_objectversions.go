package cachetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

func objectVersionCases() []testCase {
	out := []testCase{
		{
			name: "ObjectItem/IsGetWithMore",
			rule: "GetObjectItem is GetObject with the entry's version and TTL. It restarts a sliding window.",
			run: func(e *env) {
				made := &thing{}
				set := e.timed(func() { e.setObject("k", made, cache.EntryOptions{TTL: e.units(4)}) })
				var item cache.Versioned[any]
				read := e.timed(func() { item = e.objectItem("k") })
				if item.Value != any(made) || item.Version == (cache.Version{}) || item.Locked || item.Order != 0 || item.Fence != 0 {
					e.errorf("GetObjectItem = %+v, want the very object with a version", item)
				}
				e.wantLeft("GetObjectItem", item.TTL, read, set.plus(e.units(4)))
				if again := e.objectItem("k"); again.Version != item.Version {
					e.errorf("reading made a version")
				}
				e.setObject("k", made, cache.EntryOptions{SlidingExpiration: e.units(2)})
				if again := e.objectItem("k"); again.Version == item.Version {
					e.errorf("a write of the same object kept the version")
				}
				set = e.timed(func() { e.objectItem("k") })
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				read = e.timed(func() { e.objectItem("k") })
				e.sleepUntilJustBefore(read.plus(e.units(2)))
				e.objectItem("k")
				item, found, err := as[cache.ObjectVersioner](e).GetObjectItem(e.ctx, "absent")
				if found || err != nil || item.Value != nil || item.Version != (cache.Version{}) {
					e.errorf("GetObjectItem of a missing key = %+v, %v, %v, want nothing and no error", item, found, err)
				}
			},
		},
		{
			name: "CompareAndSetObject/ByVersion",
			rule: "CompareAndSetObject replaces the object if its version is the given one; else it changes nothing and tells the version.",
			run: func(e *env) {
				v := as[cache.ObjectVersioner](e)
				opts := cache.EntryOptions{TTL: time.Hour}
				_, err := v.CompareAndSetObject(e.ctx, "k", "new", cache.Version{1}, opts)
				e.wantErr("CompareAndSetObject of nothing", err, cache.ErrNoEntry)
				e.wantNoObject("k")
				e.setObject("k", "1", opts)
				first := e.objectItem("k").Version
				second, err := v.CompareAndSetObject(e.ctx, "k", "2", first, opts)
				e.must("CompareAndSetObject", err)
				e.wantObjectItem("k", "2", second)
				_, err = v.CompareAndSetObject(e.ctx, "k", "3", first, opts)
				var mismatch *cache.VersionMismatchError
				if !errors.As(err, &mismatch) || mismatch.Current != second {
					e.errorf("CompareAndSetObject with an older version = %v, want a mismatch that tells the version", err)
				}
				e.wantObjectItem("k", "2", second)
			},
		},
		{
			name: "CompareAndSetObject/OneOfManyWins",
			rule: "Of many calls at once with one version exactly one replaces the object.",
			run: func(e *env) {
				e.setObject("k", "v", cache.EntryOptions{})
				have := e.objectItem("k").Version
				won := e.oneOf(16, cache.ErrVersionMismatch, func(i int) error {
					_, err := as[cache.ObjectVersioner](e).CompareAndSetObject(e.ctx, "k", i, have, cache.EntryOptions{})
					return err
				})
				if got, _ := e.getObject("k"); got != any(won) {
					e.errorf("got %v, want %v", got, won)
				}
			},
		},
		{
			name: "AddObject/OnlyIfAbsent",
			rule: "AddObject stores if there is no entry, and voids a lease; if there is one it is ErrExists and changes nothing.", needs: []need{leaser},
			run: func(e *env) {
				v := as[cache.ObjectVersioner](e)
				l := e.lease("k")
				version, err := v.AddObject(e.ctx, "k", "v", cache.EntryOptions{TTL: time.Hour})
				e.must("AddObject", err)
				e.wantObjectItem("k", "v", version)
				e.wantErr("fill after AddObject", as[cache.Objects](e).SetObject(e.ctx, "k", "stale", cache.EntryOptions{Lease: l}), cache.ErrLeaseLost)
				_, err = v.AddObject(e.ctx, "k", "new", cache.EntryOptions{})
				e.wantErr("AddObject of what is there", err, cache.ErrExists)
				e.wantObjectItem("k", "v", version)
			},
		},
		{
			name: "RemoveVersion/OfAnObject",
			rule: "RemoveVersion removes an object of the given version, too.",
			run: func(e *env) {
				e.setObject("k", "v", cache.EntryOptions{})
				e.removeVersion("k", cache.Version{1}, false)
				e.removeVersion("k", e.objectItem("k").Version, true)
				e.wantNoObject("k")
			},
		},
		{
			name: "SetObjectIfNewer/ByOrder",
			rule: "SetObjectIfNewer is SetIfNewer for an object.",
			run: func(e *env) {
				v := as[cache.ObjectVersioner](e)
				set := func(value any, order uint64) error {
					return v.SetObjectIfNewer(e.ctx, "k", value, order, cache.EntryOptions{TTL: time.Hour})
				}
				e.must("SetObjectIfNewer", set("5", 5))
				e.must("SetObjectIfNewer", set("7", 7))
				version := e.objectItem("k").Version
				e.must("SetObjectIfNewer of the same", set("same", 7))
				err := set("6", 6)
				var outdated *cache.OutdatedError
				if !errors.As(err, &outdated) || outdated.Current != 7 {
					e.errorf("SetObjectIfNewer of something older = %v, want an error that tells 7", err)
				}
				e.wantObjectItem("k", "7", version)
				if order := e.objectItem("k").Order; order != 7 {
					e.errorf("the item tells order %d, want 7", order)
				}
				e.setObject("k", "plain", cache.EntryOptions{})
				e.must("SetObjectIfNewer after SetObject", set("1", 1))
			},
		},
		{
			name: "ObjectVersions/BadInput",
			rule: "A nil object is ErrNilValue, no version and no order ErrInvalidVersion; nothing changes.",
			run: func(e *env) {
				v := as[cache.ObjectVersioner](e)
				e.setObject("k", "v", cache.EntryOptions{})
				have := e.objectItem("k").Version
				_, err := v.CompareAndSetObject(e.ctx, "k", nil, have, cache.EntryOptions{})
				e.wantErr("nil object", err, cache.ErrNilValue)
				_, err = v.CompareAndSetObject(e.ctx, "k", "new", cache.Version{}, cache.EntryOptions{})
				e.wantErr("no version", err, cache.ErrInvalidVersion)
				_, err = v.CompareAndSetObject(e.ctx, "k", "new", have, cache.EntryOptions{TTL: -1})
				e.wantErr("bad TTL", err, cache.ErrInvalidTTL)
				_, err = v.AddObject(e.ctx, "absent", nil, cache.EntryOptions{})
				e.wantErr("nil object to add", err, cache.ErrNilValue)
				e.wantErr("nil object to set", v.SetObjectIfNewer(e.ctx, "k", nil, 1, cache.EntryOptions{}), cache.ErrNilValue)
				e.wantErr("no order", v.SetObjectIfNewer(e.ctx, "k", "new", 0, cache.EntryOptions{}), cache.ErrInvalidVersion)
				e.wantObjectItem("k", "v", have)
				e.wantNoObject("absent")
			},
		},
		{
			name: "ObjectVersions/KindsStayApart",
			rule: "An object and a byte value are different kinds: changing one as the other is ErrWrongType and changes nothing.", needs: []need{objectLocker, locker, ordered},
			run: func(e *env) {
				v, l := as[cache.ObjectVersioner](e), as[cache.ObjectLocker](e)
				opts := cache.EntryOptions{TTL: time.Hour}
				e.setLong("bytes", "v")
				have, h := e.version("bytes"), e.lock("bytes", time.Hour)
				_, _, err := v.GetObjectItem(e.ctx, "bytes")
				e.wantErr("GetObjectItem of bytes", err, cache.ErrWrongType)
				_, err = v.CompareAndSetObject(e.ctx, "bytes", "new", have, opts)
				e.wantErr("CompareAndSetObject of bytes", err, cache.ErrWrongType)
				_, err = v.AddObject(e.ctx, "bytes", "new", opts)
				e.wantErr("AddObject of bytes", err, cache.ErrWrongType)
				e.wantErr("SetObjectIfNewer of bytes", v.SetObjectIfNewer(e.ctx, "bytes", "new", 1, opts), cache.ErrWrongType)
				_, _, err = l.GetObjectAndLock(e.ctx, "bytes", time.Hour, cache.LockOptions{Force: true})
				e.wantErr("GetObjectAndLock of bytes", err, cache.ErrWrongType)
				_, err = l.PutObjectAndUnlock(e.ctx, "bytes", "new", h, opts)
				e.wantErr("PutObjectAndUnlock of bytes", err, cache.ErrWrongType)
				e.wantVersion("bytes", have)

				e.setObject("object", "v", opts)
				item, h := e.lockObject("object", time.Hour)
				_, _, err = as[cache.Versioner](e).GetItem(e.ctx, "object")
				e.wantErr("GetItem of an object", err, cache.ErrWrongType)
				_, err = e.tryCAS("object", "new", item.Version)
				e.wantErr("CompareAndSet of an object", err, cache.ErrWrongType)
				_, err = e.addNew("object", "new", time.Hour)
				e.wantErr("Add of an object", err, cache.ErrWrongType)
				e.wantErr("SetIfNewer of an object", e.newer("object", "new", 1), cache.ErrWrongType)
				_, err = e.put("object", "new", h)
				e.wantErr("PutAndUnlock of an object", err, cache.ErrWrongType)
				e.wantObjectItem("object", "v", item.Version)
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, objectVersioner, versioner, objects)
	}
	return out
}

func objectLockCases() []testCase {
	out := []testCase{
		{
			name: "ObjectLock/LocksAndPuts",
			rule: "GetObjectAndLock locks the object and returns it with a handle and a token; PutObjectAndUnlock replaces it and ends the lock.",
			run: func(e *env) {
				l := as[cache.ObjectLocker](e)
				e.setObject("k", "1", cache.EntryOptions{TTL: time.Hour})
				version := e.objectItem("k").Version
				item, h := e.lockObject("k", time.Hour)
				if item.Value != any("1") || item.Version != version || !item.Locked || item.Fence == 0 {
					e.errorf("GetObjectAndLock = %+v, want the object, its version, locked, and a token", item)
				}
				_, _, err := l.GetObjectAndLock(e.ctx, "k", time.Hour, cache.LockOptions{Force: true})
				e.wantErr("a second GetObjectAndLock", err, cache.ErrLocked)
				_, err = l.PutObjectAndUnlock(e.ctx, "k", "new", cache.LockHandle{1}, cache.EntryOptions{})
				e.wantErr("PutObjectAndUnlock with another handle", err, cache.ErrInvalidHandle)
				e.wantObjectItem("k", "1", version)
				version, err = l.PutObjectAndUnlock(e.ctx, "k", "2", h, cache.EntryOptions{TTL: time.Hour})
				e.must("PutObjectAndUnlock", err)
				e.wantObjectItem("k", "2", version)
				_, err = l.PutObjectAndUnlock(e.ctx, "k", "3", h, cache.EntryOptions{})
				e.wantErr("PutObjectAndUnlock of a dead handle", err, cache.ErrNotLocked)
				next, _ := e.lockObject("k", time.Hour)
				if next.Fence <= item.Fence {
					e.errorf("got token %d after %d", next.Fence, item.Fence)
				}
			},
		},
		{
			name: "ObjectLock/Absent",
			rule: "Without an object GetObjectAndLock is ErrNoEntry; with Force it locks the key, and PutObjectAndUnlock stores.",
			run: func(e *env) {
				l := as[cache.ObjectLocker](e)
				_, _, err := l.GetObjectAndLock(e.ctx, "k", time.Hour, cache.LockOptions{})
				e.wantErr("GetObjectAndLock of nothing", err, cache.ErrNoEntry)
				item, h, err := l.GetObjectAndLock(e.ctx, "k", time.Hour, cache.LockOptions{Force: true})
				e.must("GetObjectAndLock with Force", err)
				if item.Value != nil || item.Version != (cache.Version{}) || !item.Locked || item.Fence == 0 {
					e.errorf("GetObjectAndLock of nothing = %+v, want no value, locked, and a token", item)
				}
				version, err := l.PutObjectAndUnlock(e.ctx, "k", "v", h, cache.EntryOptions{TTL: time.Hour})
				e.must("PutObjectAndUnlock", err)
				e.wantObjectItem("k", "v", version)
			},
		},
		{
			name: "ObjectLock/OtherCalls",
			rule: "Unlock, RemoveLocked and ResetTTL take objects, too. While a lock stands an object does not expire.",
			run: func(e *env) {
				set := e.timed(func() { e.setObject("k", "v", cache.EntryOptions{TTL: e.units(1)}) })
				_, h := e.lockObject("k", time.Hour)
				e.sleepUntil(set.plus(e.units(1)))
				e.objectItem("k")
				e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "k", time.Hour))
				e.must("Unlock", e.unlock("k", h, 0))
				e.objectItem("k")
				_, h = e.lockObject("k", time.Hour)
				e.removeLocked("k", cache.LockHandle{1}, false)
				e.removeLocked("k", h, true)
				e.wantNoObject("k")
			},
		},
		{
			name: "ObjectLock/BadInput",
			rule: "A ttl that is not positive, a zero handle and a nil object are refused.",
			run: func(e *env) {
				l := as[cache.ObjectLocker](e)
				e.setObject("k", "v", cache.EntryOptions{TTL: time.Hour})
				for _, ttl := range []time.Duration{0, -1, cache.NoExpiry} {
					_, _, err := l.GetObjectAndLock(e.ctx, "k", ttl, cache.LockOptions{})
					e.wantErr(fmt.Sprint("ttl ", ttl), err, cache.ErrInvalidTTL)
				}
				item, h := e.lockObject("k", time.Hour)
				_, err := l.PutObjectAndUnlock(e.ctx, "k", "new", cache.LockHandle{}, cache.EntryOptions{})
				e.wantErr("no handle", err, cache.ErrInvalidHandle)
				_, err = l.PutObjectAndUnlock(e.ctx, "k", nil, h, cache.EntryOptions{})
				e.wantErr("nil object", err, cache.ErrNilValue)
				e.wantObjectItem("k", "v", item.Version)
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, objectLocker, objectVersioner, locker, objects)
	}
	return out
}

func (e *env) objectItem(key string) cache.Versioned[any] {
	e.report.Helper()
	item, found, err := as[cache.ObjectVersioner](e).GetObjectItem(e.ctx, key)
	e.must("GetObjectItem", err)
	if !found {
		e.fatalf("GetObjectItem: a miss, want a hit")
	}
	return item
}

func (e *env) wantObjectItem(key string, value any, version cache.Version) {
	e.report.Helper()
	if item := e.objectItem(key); item.Value != value || item.Version != version {
		e.errorf("GetObjectItem = %v, want %v and the version that was returned", item.Value, value)
	}
}

func (e *env) lockObject(key string, ttl time.Duration) (cache.Versioned[any], cache.LockHandle) {
	e.report.Helper()
	item, h, err := as[cache.ObjectLocker](e).GetObjectAndLock(e.ctx, key, ttl, cache.LockOptions{})
	e.must("GetObjectAndLock", err)
	return item, h
}
