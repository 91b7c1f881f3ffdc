package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

func suspensionCases() []testCase {
	return needLocks([]testCase{
		{
			name: "Locked/DoesNotExpire",
			rule: "While a lock stands the entry does not expire; when it ends by itself, an entry that is past its deadline is gone.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				locked := e.timed(func() { e.lock("k", e.units(4)) })
				e.sleepUntil(set.plus(e.units(2)))
				e.wantHit("k", "value of k")
				e.aliveUntil(locked.plus(e.units(4)), "k")
				e.goneAt(locked.plus(e.units(4)), "k")
				_, _, err := e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock of what expired", err, cache.ErrNoEntry)
			},
		},
		{
			name: "Locked/SlidingDoesNotExpire",
			rule: "While a lock stands the entry does not expire, for want of being read either.",
			run: func(e *env) {
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(1)})
				locked := e.timed(func() { e.lock("k", e.units(4)) })
				e.goneAt(locked.plus(e.units(4)), "k")
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(1)})
				locked = e.timed(func() { e.lock("k", e.units(4)) })
				e.aliveUntil(locked.plus(e.units(4)), "k")
			},
		},
		{
			name: "Locked/RefreshMovesSliding",
			rule: "Refresh restarts the sliding window of a locked entry too.",
			run: func(e *env) {
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				var h cache.LockHandle
				locked := e.timed(func() { h = e.lock("k", time.Hour) })
				e.sleepUntil(locked.plus(e.units(3)))
				read := e.refresh("k")
				e.must("Unlock", e.unlock("k", h, 0))
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "Locked/LivesOnAfterTheLock",
			rule: "A lock that ends before the entry's deadline leaves the deadline as it was.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(3))
				locked := e.timed(func() { e.lock("k", e.units(1)) })
				e.sleepUntil(locked.plus(e.units(1)))
				e.wantHit("k", "value of k")
				e.aliveUntil(set.plus(e.units(3)), "k")
				e.goneAt(set.plus(e.units(3)), "k")
			},
		},
		{
			name: "Unlock/KeepsTheDeadline",
			rule: "Unlock with 0 leaves the deadline as it was.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(3))
				h := e.lock("k", time.Hour)
				e.sleepUntil(set.plus(e.units(1)))
				e.must("Unlock", e.unlock("k", h, 0))
				e.aliveUntil(set.plus(e.units(3)), "k")
				e.goneAt(set.plus(e.units(3)), "k")
			},
		},
		{
			name: "Unlock/PastTheDeadline",
			rule: "An entry that is past its deadline is gone when its lock ends by Unlock with 0.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				h := e.lock("k", time.Hour)
				e.sleepUntil(set.plus(e.units(1)))
				e.wantHit("k", "value of k")
				e.must("Unlock", e.unlock("k", h, 0))
				e.wantMiss("k")
				e.wantErr("Unlock again", e.unlock("k", h, 0), cache.ErrNoEntry)
			},
		},
		{
			name: "Unlock/WithTTL",
			rule: "Unlock with a positive ttl lets the entry live that long from then, whatever its deadline was. The version stays.",
			run: func(e *env) {
				set := e.setTTL("past", e.units(1))
				e.setLong("long", "v")
				version := e.version("past")
				past, long := e.lock("past", time.Hour), e.lock("long", time.Hour)
				e.sleepUntil(set.plus(e.units(1)))
				unlocked := e.timed(func() {
					e.must("Unlock", e.unlock("past", past, e.units(2)))
					e.must("Unlock", e.unlock("long", long, e.units(2)))
				})
				e.wantVersion("past", version)
				e.wantDead("past", past, cache.ErrNotLocked)
				e.sleepUntilJustBefore(unlocked.plus(e.units(2)))
				e.wantHit("past", "value of past")
				e.wantHit("long", "v")
				e.goneAt(unlocked.plus(e.units(2)), "past")
				e.goneAt(unlocked.plus(e.units(2)), "long")
			},
		},
		{
			name: "Unlock/WithNoExpiry",
			rule: "Unlock with NoExpiry takes the deadline away.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				e.must("Unlock", e.unlock("k", e.lock("k", time.Hour), cache.NoExpiry))
				e.sleepUntil(set.plus(e.units(2)))
				e.wantHit("k", "value of k")
				if ttl := e.item("k").TTL; ttl != cache.NoExpiry {
					e.errorf("the TTL after Unlock with NoExpiry is %v", ttl)
				}
			},
		},
		{
			name: "Unlock/KeepsTheSlidingWindow",
			rule: "Unlock with a ttl leaves the sliding window: unread, the entry expires after it.",
			run: func(e *env) {
				for _, ttl := range []time.Duration{time.Hour, cache.NoExpiry} {
					e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
					h := e.lock("k", time.Hour)
					unlocked := e.timed(func() { e.must("Unlock", e.unlock("k", h, ttl)) })
					e.goneAt(unlocked.plus(e.units(2)), "k")
				}
			},
		},
		{
			name: "ResetTTL/CountsFromNowThoughLocked",
			rule: "ResetTTL of a locked entry counts from then, and the entry still does not expire while the lock stands.",
			run: func(e *env) {
				for _, key := range []string{"unlocked late", "unlocked early"} {
					e.setLong(key, "v")
				}
				late, early := e.lock("unlocked late", time.Hour), e.lock("unlocked early", time.Hour)
				reset := e.timed(func() {
					e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "unlocked late", e.units(2)))
					e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "unlocked early", e.units(2)))
				})
				e.must("Unlock", e.unlock("unlocked early", early, 0))
				e.aliveUntil(reset.plus(e.units(2)), "unlocked early")
				e.goneAt(reset.plus(e.units(2)), "unlocked early")
				e.wantHit("unlocked late", "v")
				e.must("Unlock", e.unlock("unlocked late", late, 0))
				e.wantMiss("unlocked late")
			},
		},
	})
}
