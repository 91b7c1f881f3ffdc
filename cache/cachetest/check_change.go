package cachetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
	"pgregory.net/rapid"
)

// drawChange draws what the calls of Versioner and Locker are given: mostly the
// version or handle that was given out last, at times an older one or none.
func (s *step) drawChange(t *rapid.T) {
	switch s.what {
	case getsIfNewer, comparesSets, removesVersion, comparesObjects:
		s.version = rapid.SampledFrom([]int{1, 1, 1, 2, 3, 0}).Draw(t, "version")
	case putsUnlocks, unlocks, removesLocked, putsObjectsUnlocks:
		s.handle = rapid.SampledFrom([]int{1, 1, 1, 1, 2, 0}).Draw(t, "handle")
	}
	if s.what == setsIfNewer || s.what == setsObjectIfNewer {
		s.order = rapid.SampledFrom([]uint64{0, 1, 2, 2, 3, 1 << 40, math.MaxUint64}).Draw(t, "order")
	}
	switch s.what {
	case beginsWrite:
		s.ttl = rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 200 * time.Millisecond, time.Second, time.Hour, 0}).Draw(t, "ttl")
	case endsWrite:
		s.mark = rapid.SampledFrom([]int{1, 1, 1, 2, 3, 0}).Draw(t, "mark")
	case comparesSets, adds, putsUnlocks, setsIfNewer, comparesObjects, addsObject, setsObjectIfNewer, putsObjectsUnlocks:
		s.value = rapid.SampledFrom([]string{"v", "w", ""}).Draw(t, "value")
		s.drawLifetime(t)
		s.drawTokens(t)
	case takesLock, takesObjectLock:
		s.ttl = rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 200 * time.Millisecond, time.Second, time.Hour, 0}).Draw(t, "ttl")
		s.force = rapid.Bool().Draw(t, "force")
	case unlocks:
		s.ttl = rapid.SampledFrom([]time.Duration{0, 0, 0, 100 * time.Millisecond, time.Second, cache.NoExpiry, -1}).Draw(t, "ttl")
	case resetsTTL:
		s.ttl = rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 200 * time.Millisecond, time.Second, 0, cache.NoExpiry}).Draw(t, "ttl")
	}
}

// takeChange takes the steps that are calls of Versioner and Locker. What
// restarts a sliding window counts as having read the entry.
func (s step) takeChange(ctx context.Context, on *side, key string) string {
	value, have, handle := []byte(s.value), fromLast(on.versions, s.version), fromLast(on.handles, s.handle)
	noHandle := (s.what == putsUnlocks || s.what == unlocks || s.what == putsObjectsUnlocks) && handle == (cache.LockHandle{})
	noVersion := (s.what == comparesSets || s.what == comparesObjects) && have == (cache.Version{})
	noOrder := (s.what == setsIfNewer || s.what == setsObjectIfNewer) && s.order == 0
	if noHandle || noVersion || noOrder {
		s.ttl, s.sliding, s.until, s.tokens = 0, 0, 0, nil // of two faults either may be named
	}
	switch s.what {
	case getsItem:
		item, found, err := find[cache.Versioner](on).GetItem(ctx, key)
		return found3(itemOf(on, item), found, err)
	case getsIfNewer:
		item, newer, found, err := find[cache.Versioner](on).GetIfNewer(ctx, key, have)
		if !newer {
			return found3(fmt.Sprintf("%q", item.Value), found, err)
		}
		return found3(itemOf(on, item), found, err)
	case comparesSets:
		return on.stored(find[cache.Versioner](on).CompareAndSet(ctx, key, value, have, s.options(on)))
	case adds:
		return on.stored(find[cache.Versioner](on).Add(ctx, key, value, s.options(on)))
	case removesVersion:
		removed, err := find[cache.Versioner](on).RemoveVersion(ctx, key, have)
		return fmt.Sprint(removed, " ", errorName(err))
	case takesLock:
		item, h, err := find[cache.Locker](on).GetAndLock(ctx, key, s.ttl, cache.LockOptions{Force: s.force})
		if err == nil {
			on.handles = append(on.handles, h)
		}
		return found3(itemOf(on, item), true, err)
	case putsUnlocks:
		return on.stored(find[cache.Locker](on).PutAndUnlock(ctx, key, value, handle, s.options(on)))
	case unlocks:
		return hitIfDone(s.ttl != 0, find[cache.Locker](on).Unlock(ctx, key, handle, s.ttl))
	case removesLocked:
		removed, err := find[cache.Locker](on).RemoveLocked(ctx, key, handle)
		return fmt.Sprint(removed, " ", errorName(err))
	case beginsWrite:
		mark, err := find[cache.WriteMarker](on).BeginWrite(ctx, key, s.ttl)
		if err == nil {
			on.marks = append(on.marks, mark)
		}
		return fmt.Sprint(on.epochName(mark.Epoch), " ", errorName(err))
	case endsWrite:
		return errorName(find[cache.WriteMarker](on).EndWrite(ctx, key, fromLast(on.marks, s.mark)))
	case resetsTTL:
		return hitIfDone(true, find[cache.Locker](on).ResetTTL(ctx, key, s.ttl))
	case setsIfNewer:
		return storedInOrder(find[cache.Ordered](on).SetIfNewer(ctx, key, value, s.order, s.options(on)))
	}
	return s.takeObjectChange(ctx, on, key, have, handle)
}

// takeObjectChange takes the steps that are calls of ObjectVersioner and
// ObjectLocker.
func (s step) takeObjectChange(ctx context.Context, on *side, key string, have cache.Version, handle cache.LockHandle) string {
	switch s.what {
	case getsObjectItem:
		item, found, err := find[cache.ObjectVersioner](on).GetObjectItem(ctx, key)
		return found3(itemOf(on, item), found, err)
	case comparesObjects:
		return on.stored(find[cache.ObjectVersioner](on).CompareAndSetObject(ctx, key, s.value, have, s.options(on)))
	case addsObject:
		return on.stored(find[cache.ObjectVersioner](on).AddObject(ctx, key, s.value, s.options(on)))
	case setsObjectIfNewer:
		return storedInOrder(find[cache.ObjectVersioner](on).SetObjectIfNewer(ctx, key, s.value, s.order, s.options(on)))
	case takesObjectLock:
		item, h, err := find[cache.ObjectLocker](on).GetObjectAndLock(ctx, key, s.ttl, cache.LockOptions{Force: s.force})
		if err == nil {
			on.handles = append(on.handles, h)
		}
		return found3(itemOf(on, item), true, err)
	case putsObjectsUnlocks:
		return on.stored(find[cache.ObjectLocker](on).PutObjectAndUnlock(ctx, key, s.value, handle, s.options(on)))
	}
	panic("cachetest: no such step: " + string(s.what))
}

// storedInOrder describes what came of SetIfNewer.
func storedInOrder(err error) string {
	var outdated *cache.OutdatedError
	if errors.As(err, &outdated) {
		return fmt.Sprint("outdated by ", outdated.Current)
	}
	return errorName(err)
}

func hitIfDone(reads bool, err error) string {
	if reads && err == nil {
		return "hit"
	}
	return errorName(err)
}

// itemOf describes an item. Its TTL is left out: where windows move by reading
// only now and then it is less than it could be. So are its tokens, for which
// there is a case.
func itemOf[V any](s *side, item cache.Versioned[V]) string {
	return fmt.Sprintf("%q, %s, locked %v, order %d, fence %v", any(item.Value), s.versionName(item.Version), item.Locked, item.Order, item.Fence > 0)
}

// stored describes what came of a call that makes a version.
func (s *side) stored(v cache.Version, err error) string {
	var mismatch *cache.VersionMismatchError
	if errors.As(err, &mismatch) {
		return "mismatch with " + s.versionName(mismatch.Current)
	}
	return s.versionName(v) + " " + errorName(err)
}

// epochName returns a name that both sides have for an epoch.
func (s *side) epochName(epoch [16]byte) string {
	if epoch == [16]byte{} {
		return "no epoch"
	}
	i := slices.Index(s.epochs, epoch)
	if i < 0 {
		i = len(s.epochs)
		s.epochs = append(s.epochs, epoch)
	}
	return fmt.Sprint("epoch ", i)
}

// versionName returns a name that both sides have for a version.
func (s *side) versionName(v cache.Version) string {
	if v == (cache.Version{}) {
		return "no version"
	}
	i := slices.Index(s.versions, v)
	if i < 0 {
		i = len(s.versions)
		s.versions = append(s.versions, v)
	}
	return fmt.Sprint("version ", i)
}
