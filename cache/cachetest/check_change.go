package cachetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
	"pgregory.net/rapid"
)

// drawChange draws what the calls of Versioner and Locker are given: mostly the
// version or handle that was given out last, at times an older one or none.
func (s *step) drawChange(t *rapid.T) {
	switch s.what {
	case getsIfNewer, comparesSets, removesVersion:
		s.version = rapid.SampledFrom([]int{1, 1, 1, 2, 3, 0}).Draw(t, "version")
	case putsUnlocks, unlocks, removesLocked:
		s.handle = rapid.SampledFrom([]int{1, 1, 1, 1, 2, 0}).Draw(t, "handle")
	}
	switch s.what {
	case comparesSets, adds, putsUnlocks:
		s.value = rapid.SampledFrom([]string{"v", "w", ""}).Draw(t, "value")
		s.drawLifetime(t)
		s.drawTokens(t)
	case takesLock:
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
	noHandle := (s.what == putsUnlocks || s.what == unlocks) && handle == (cache.LockHandle{})
	if noHandle || s.what == comparesSets && have == (cache.Version{}) {
		s.ttl, s.sliding, s.until, s.tokens = 0, 0, 0, nil // of two faults either may be named
	}
	switch s.what {
	case getsItem:
		item, found, err := find[cache.Versioner](on).GetItem(ctx, key)
		return found3(on.item(item), found, err)
	case getsIfNewer:
		item, newer, found, err := find[cache.Versioner](on).GetIfNewer(ctx, key, have)
		if !newer {
			return found3(fmt.Sprintf("%q", item.Value), found, err)
		}
		return found3(on.item(item), found, err)
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
		return found3(on.item(item), true, err)
	case putsUnlocks:
		return on.stored(find[cache.Locker](on).PutAndUnlock(ctx, key, value, handle, s.options(on)))
	case unlocks:
		return hitIfDone(s.ttl != 0, find[cache.Locker](on).Unlock(ctx, key, handle, s.ttl))
	case removesLocked:
		removed, err := find[cache.Locker](on).RemoveLocked(ctx, key, handle)
		return fmt.Sprint(removed, " ", errorName(err))
	case resetsTTL:
		return hitIfDone(true, find[cache.Locker](on).ResetTTL(ctx, key, s.ttl))
	}
	panic("cachetest: no such step: " + string(s.what))
}

func hitIfDone(reads bool, err error) string {
	if reads && err == nil {
		return "hit"
	}
	return errorName(err)
}

// item describes an item. Its TTL is left out: where windows move by reading
// only now and then it is less than it could be. So are its tokens, for which
// there is a case.
func (s *side) item(item cache.VersionedItem) string {
	return fmt.Sprintf("%q, %s, locked %v", item.Value, s.versionName(item.Version), item.Locked)
}

// stored describes what came of a call that makes a version.
func (s *side) stored(v cache.Version, err error) string {
	var mismatch *cache.VersionMismatchError
	if errors.As(err, &mismatch) {
		return "mismatch with " + s.versionName(mismatch.Current)
	}
	return s.versionName(v) + " " + errorName(err)
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
