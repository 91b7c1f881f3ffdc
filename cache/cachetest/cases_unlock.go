package cachetest

import (
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

// unlockCases go through what becomes of a lock's handle: with no entry, no
// lock, another's lock, the lock itself.
func unlockCases() []testCase {
	return needLocks([]testCase{
		{
			name: "PutAndUnlock/Replaces",
			rule: "PutAndUnlock replaces the entry, with its expiration, ends the lock and returns the new version.",
			run: func(e *env) {
				e.setLong("k", "old")
				old := e.version("k")
				h := e.lock("k", time.Hour)
				var version cache.Version
				put := e.timed(func() {
					v, err := as[cache.Locker](e).PutAndUnlock(e.ctx, "k", []byte("new"), h, cache.EntryOptions{TTL: e.units(2)})
					e.must("PutAndUnlock", err)
					version = v
				})
				item := e.item("k")
				if string(item.Value) != "new" || item.Version != version || item.Locked || version == old {
					e.errorf("after PutAndUnlock: %+v, want the new value and version without a lock", item)
				}
				e.wantDead("k", h, cache.ErrNotLocked)
				e.aliveUntil(put.plus(e.units(2)), "k")
				e.goneAt(put.plus(e.units(2)), "k")
			},
		},
		{
			name: "PutAndUnlock/NoEntry",
			rule: "PutAndUnlock of a missing entry is ErrNoEntry, and makes none, also if it was locked once.",
			run: func(e *env) {
				_, err := e.put("absent", "v", cache.LockHandle{1})
				e.wantErr("PutAndUnlock of nothing", err, cache.ErrNoEntry)
				e.wantMiss("absent")
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				e.remove("k")
				_, err = e.put("k", "v", h)
				e.wantErr("PutAndUnlock of what was removed", err, cache.ErrNoEntry)
				e.wantMiss("k")
			},
		},
		{
			name: "Unlock/EndsTheLock",
			rule: "Unlock ends the lock: another can be had, and the handle is dead. Value and version stay.",
			run: func(e *env) {
				e.setLong("k", "v")
				version := e.version("k")
				h := e.lock("k", time.Hour)
				e.must("Unlock", e.unlock("k", h, 0))
				e.wantDead("k", h, cache.ErrNotLocked)
				e.wantHit("k", "v")
				e.wantVersion("k", version)
				if e.item("k").Locked {
					e.errorf("the entry says that it is locked after Unlock")
				}
				again := e.lock("k", time.Hour)
				e.wantDead("k", h, cache.ErrInvalidHandle)
				e.must("Unlock again", e.unlock("k", again, 0))
			},
		},
		{
			name: "Unlock/NoEntry",
			rule: "Unlock of a missing entry is ErrNoEntry.",
			run: func(e *env) {
				e.wantErr("Unlock of nothing", e.unlock("absent", cache.LockHandle{1}, 0), cache.ErrNoEntry)
				e.wantErr("Unlock of nothing with a ttl", e.unlock("absent", cache.LockHandle{1}, time.Hour), cache.ErrNoEntry)
				e.wantMiss("absent")
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				e.remove("k")
				e.wantErr("Unlock of what was removed", e.unlock("k", h, 0), cache.ErrNoEntry)
			},
		},
		{
			name: "Unlock/NotLocked",
			rule: "A handle with an entry on which no lock stands is ErrNotLocked, and changes nothing.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.wantDead("k", cache.LockHandle{1}, cache.ErrNotLocked)
			},
		},
		{
			name: "Unlock/AnothersHandle",
			rule: "A handle that is not that of the lock is ErrInvalidHandle, and changes nothing: neither value nor lock.",
			run: func(e *env) {
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				nearly := h
				nearly[15] ^= 1
				e.wantDead("k", nearly, cache.ErrInvalidHandle)
				e.wantDead("k", cache.LockHandle{1}, cache.ErrInvalidHandle)
				e.must("Unlock with the right handle", e.unlock("k", h, 0))
			},
		},
		{
			name: "Unlock/BadInput",
			rule: "A zero handle is ErrInvalidHandle, a ttl that is neither 0, positive nor NoExpiry ErrInvalidTTL, a nil value ErrNilValue; nothing changes.",
			run: func(e *env) {
				l := as[cache.Locker](e)
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				for _, key := range []string{"k", "absent"} {
					_, err := e.put(key, "new", cache.LockHandle{})
					e.wantErr("PutAndUnlock without a handle", err, cache.ErrInvalidHandle)
					e.wantErr("Unlock without a handle", e.unlock(key, cache.LockHandle{}, 0), cache.ErrInvalidHandle)
					_, err = l.RemoveLocked(e.ctx, key, cache.LockHandle{})
					e.wantErr("RemoveLocked without a handle", err, cache.ErrInvalidHandle)
				}
				e.wantErr("Unlock with a negative ttl", e.unlock("k", h, -1), cache.ErrInvalidTTL)
				_, err := l.PutAndUnlock(e.ctx, "k", nil, h, cache.EntryOptions{})
				e.wantErr("PutAndUnlock of nil", err, cache.ErrNilValue)
				_, err = l.PutAndUnlock(e.ctx, "k", []byte("new"), h, cache.EntryOptions{TTL: -1})
				e.wantErr("PutAndUnlock with a bad TTL", err, cache.ErrInvalidTTL)
				e.wantHit("k", "v")
				e.must("Unlock", e.unlock("k", h, 0))
			},
		},
		{
			name: "RemoveLocked/Removes",
			rule: "RemoveLocked removes the entry if this lock stands on it, and says so.",
			run: func(e *env) {
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				e.removeLocked("k", h, true)
				e.wantMiss("k")
				e.removeLocked("k", h, false)
				e.setLong("k", "anew")
				e.lock("k", time.Hour)
			},
		},
		{
			name: "RemoveLocked/MismatchIsNoError",
			rule: "RemoveLocked with another's handle, of an entry without a lock, or of nothing, removes nothing, says so, and is no error.",
			run: func(e *env) {
				e.removeLocked("absent", cache.LockHandle{1}, false)
				e.setLong("k", "v")
				e.removeLocked("k", cache.LockHandle{1}, false)
				h := e.lock("k", time.Hour)
				e.removeLocked("k", cache.LockHandle{1}, false)
				e.wantHit("k", "v")
				e.must("Unlock", e.unlock("k", h, 0))
				e.removeLocked("k", h, false)
				e.wantHit("k", "v")
			},
		},
		{
			name: "ResetTTL/ShorterAndLonger",
			rule: "ResetTTL gives the entry its ttl to live from now, shorter or longer. Value and version stay.",
			run: func(e *env) {
				e.setTTL("longer", e.units(1))
				e.setLong("shorter", "v")
				e.set("ending", "v", cache.EntryOptions{TTL: cache.NoExpiry})
				version := e.version("longer")
				reset := e.timed(func() {
					for _, key := range []string{"longer", "shorter", "ending"} {
						e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, key, e.units(2)))
					}
				})
				e.wantVersion("longer", version)
				e.wantTTL("longer", reset.plus(e.units(2)))
				e.sleepUntilJustBefore(reset.plus(e.units(2)))
				e.wantHit("longer", "value of longer")
				e.wantHit("shorter", "v")
				e.goneAt(reset.plus(e.units(2)), "longer")
				e.goneAt(reset.plus(e.units(2)), "shorter")
				e.goneAt(reset.plus(e.units(2)), "ending")
			},
		},
		{
			name: "ResetTTL/NoEntry",
			rule: "ResetTTL of a missing or expired entry is ErrNoEntry.",
			run: func(e *env) {
				l := as[cache.Locker](e)
				e.wantErr("ResetTTL of nothing", l.ResetTTL(e.ctx, "absent", time.Hour), cache.ErrNoEntry)
				e.wantMiss("absent")
				set := e.setTTL("k", e.units(1))
				e.sleepUntil(set.plus(e.units(1)))
				e.wantErr("ResetTTL of what expired", l.ResetTTL(e.ctx, "k", time.Hour), cache.ErrNoEntry)
				e.wantMiss("k")
			},
		},
		{
			name: "ResetTTL/KeepsTheLock",
			rule: "ResetTTL changes neither lock nor version, and needs no handle.",
			run: func(e *env) {
				e.setLong("k", "v")
				version := e.version("k")
				h := e.lock("k", time.Hour)
				e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "k", time.Hour))
				e.wantVersion("k", version)
				_, _, err := e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock after ResetTTL", err, cache.ErrLocked)
				e.must("Unlock", e.unlock("k", h, 0))
			},
		},
		{
			name: "ResetTTL/KeepsTheSlidingWindow",
			rule: "ResetTTL leaves the sliding window: unread, the entry expires after it, and read, at the new deadline.",
			run: func(e *env) {
				e.set("unread", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				e.set("read", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				reset := e.timed(func() {
					for _, key := range []string{"unread", "read"} {
						e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, key, e.units(3)))
					}
				})
				e.sleepUntil(reset.plus(e.units(1.4)))
				e.refresh("read")
				e.goneAt(reset.plus(e.units(2)), "unread")
				e.aliveUntil(reset.plus(e.units(3)), "read")
				e.goneAt(reset.plus(e.units(3)), "read")
			},
		},
		{
			name: "ResetTTL/BadInput",
			rule: "A ttl that is not positive is ErrInvalidTTL, and changes nothing.",
			run: func(e *env) {
				e.setLong("k", "v")
				for _, ttl := range []time.Duration{0, -1, -time.Hour, cache.NoExpiry} {
					err := as[cache.Locker](e).ResetTTL(e.ctx, "k", ttl)
					e.wantErr(fmt.Sprint("ResetTTL of ", int64(ttl)), err, cache.ErrInvalidTTL)
				}
				e.wantHit("k", "v")
			},
		},
	})
}
