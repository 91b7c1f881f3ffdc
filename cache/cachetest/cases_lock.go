package cachetest

import (
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

// needLocks makes cases about locks run on caches that tell versions, too: the
// cases look at both.
func needLocks(cases []testCase) []testCase {
	for i := range cases {
		cases[i].needs = append(cases[i].needs, locker, versioner)
	}
	return cases
}

func lockCases() []testCase {
	return needLocks([]testCase{
		{
			name: "GetAndLock/ReturnsTheEntry",
			rule: "GetAndLock locks the entry and returns it with a handle. The version stays.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(5))
				version := e.version("k")
				var item cache.VersionedItem
				locked := e.timed(func() {
					var h cache.LockHandle
					var err error
					item, h, err = e.tryLock("k", e.units(1))
					e.must("GetAndLock", err)
					if h == (cache.LockHandle{}) {
						e.errorf("GetAndLock returned the zero handle")
					}
				})
				if string(item.Value) != "value of k" || item.Version != version || !item.Locked {
					e.errorf("GetAndLock = %+v, want the value, its version, and locked", item)
				}
				e.wantLeft("GetAndLock", item.TTL, locked, set.plus(e.units(5)))
				e.wantVersion("k", version)
				copy(item.Value, "XXXXX")
				e.wantHit("k", "value of k")
			},
		},
		{
			name: "GetAndLock/NoEntry",
			rule: "GetAndLock of a missing key is ErrNoEntry, and locks nothing.",
			run: func(e *env) {
				_, _, err := e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock of nothing", err, cache.ErrNoEntry)
				e.wantMiss("k")
				e.setLong("k", "v")
				e.lock("k", time.Hour)
			},
		},
		{
			name: "GetAndLock/LockedIsRefusedAtOnce",
			rule: "If a lock stands GetAndLock returns ErrLocked at once, whoever holds it, also with Force; the lock stays as it is.",
			run: func(e *env) {
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				start := time.Now()
				_, other, err := e.tryLock("k", time.Minute)
				e.wantErr("a second GetAndLock", err, cache.ErrLocked)
				if e.virtual() && time.Since(start) != 0 {
					e.errorf("GetAndLock waited %v for a lock", time.Since(start))
				}
				if other != (cache.LockHandle{}) {
					e.errorf("GetAndLock returned a handle and an error")
				}
				_, _, err = as[cache.Locker](e).GetAndLock(e.ctx, "k", time.Minute, cache.LockOptions{Force: true})
				e.wantErr("a second GetAndLock with Force", err, cache.ErrLocked)
				_, err = e.put("k", "new", h)
				e.must("PutAndUnlock with the first handle", err)
			},
		},
		{
			name: "GetAndLock/OneOfManyWins",
			rule: "Of many calls of GetAndLock at once exactly one gets the lock; the others are ErrLocked.",
			run: func(e *env) {
				e.setLong("k", "v")
				handles := make([]cache.LockHandle, 16)
				won := e.oneOf(len(handles), cache.ErrLocked, func(i int) (err error) {
					_, handles[i], err = e.tryLock("k", time.Hour)
					return err
				})
				e.must("Unlock by the winner", e.unlock("k", handles[won], 0))
			},
		},
		{
			name: "GetAndLock/EndsByItself",
			rule: "A lock stands for its ttl at most; then another GetAndLock succeeds, and the first handle is dead.",
			run: func(e *env) {
				e.setLong("k", "v")
				var first cache.LockHandle
				locked := e.timed(func() { first = e.lock("k", e.units(2)) })
				e.sleepUntilJustBefore(locked.plus(e.units(2)))
				_, _, err := e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock just before a lock ends", err, cache.ErrLocked)
				e.sleepUntil(locked.plus(e.units(2)))
				if e.item("k").Locked {
					e.errorf("the lock stands after its ttl")
				}
				e.wantDead("k", first, cache.ErrNotLocked)
				second := e.lock("k", time.Hour)
				e.wantDead("k", first, cache.ErrInvalidHandle)
				e.must("Unlock with the second handle", e.unlock("k", second, 0))
				e.wantHit("k", "v")
			},
		},
		{
			name: "GetAndLock/HandlesAreUnguessable",
			rule: "A handle is the unguessable token of one lock: never zero, never the same.",
			run: func(e *env) {
				seen := make(map[cache.LockHandle]bool)
				for i := range 50 {
					key := fmt.Sprint("k", i%5)
					e.setLong(key, "v")
					h := e.lock(key, time.Hour)
					if h == (cache.LockHandle{}) || seen[h] {
						e.fatalf("handle %d is zero or was given out before", i)
					}
					seen[h] = true
				}
			},
		},
		{
			name: "GetAndLock/IsForOneKey",
			rule: "A lock is for one key: its handle is another's with any other key, and other keys are not locked.",
			run: func(e *env) {
				e.setLong("a", "1")
				e.setLong("b", "2")
				a := e.lock("a", time.Hour)
				e.wantDead("b", a, cache.ErrNotLocked)
				e.lock("b", time.Hour)
				e.wantDead("b", a, cache.ErrInvalidHandle)
			},
		},
		{
			name: "GetAndLock/MovesSliding",
			rule: "Reading an entry with a sliding expiration restarts its window, by GetAndLock too.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				var h cache.LockHandle
				read := e.timed(func() { h = e.lock("k", time.Hour) })
				e.settle()
				e.must("Unlock", e.unlock("k", h, 0))
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "GetAndLock/BadInput",
			rule: "A lock's ttl that is not positive is ErrInvalidTTL, and locks nothing.",
			run: func(e *env) {
				e.setLong("k", "v")
				for _, ttl := range []time.Duration{0, -1, -time.Hour, cache.NoExpiry} {
					_, _, err := e.tryLock("k", ttl)
					e.wantErr(fmt.Sprint("GetAndLock for ", int64(ttl)), err, cache.ErrInvalidTTL)
				}
				e.lock("k", time.Hour)
			},
		},
		{
			name: "Locked/ReadsSeeTheValue",
			rule: "Reads see the value of a locked entry, never wait and never fail, and the item says that it is locked.",
			run: func(e *env) {
				e.setLong("k", "v")
				version := e.version("k")
				e.lock("k", time.Hour)
				e.wantHit("k", "v")
				item := e.item("k")
				if string(item.Value) != "v" || item.Version != version || !item.Locked {
					e.errorf("GetItem of a locked entry = %+v, want its value and version, and locked", item)
				}
				e.wantNewer("k", version, "", false, true)
				e.wantNewer("k", cache.Version{}, "v", true, true)
				e.refresh("k")
				if b, ok := cache.As[cache.Batcher](e.c); ok {
					results, err := b.GetMany(e.ctx, []string{"k", "absent"})
					e.must("GetMany", err)
					e.wantResults(results, "v", miss)
				}
				if !e.item("k").Locked {
					e.errorf("a read ended the lock")
				}
			},
		},
		{
			name: "Locked/AddIsRefused",
			rule: "A locked entry is an entry: Add is ErrExists, and neither value nor lock change.",
			run: func(e *env) {
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				_, err := e.addNew("k", "new", time.Hour)
				e.wantErr("Add of a locked entry", err, cache.ErrExists)
				e.wantHit("k", "v")
				e.must("Unlock", e.unlock("k", h, 0))
			},
		},
		{
			name: "Locked/MismatchKeepsTheLock",
			rule: "A change that is refused for its version changes nothing: the lock stays.",
			run: func(e *env) {
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				e.wantMismatch("k", cache.Version{1}, "v")
				e.removeVersion("k", cache.Version{1}, false)
				e.must("Unlock", e.unlock("k", h, 0))
			},
		},
		{
			name: "Locked/OtherKindsHaveNone", needs: []need{counter},
			rule: "Locks are for byte values: with a counter each call of Locker is ErrWrongType and changes nothing.",
			run: func(e *env) {
				_, err := e.increment("n", 7)
				e.must("Increment", err)
				for _, call := range lockCalls(e.c) {
					e.wantErr(call.name, call.do(e.ctx, "n"), cache.ErrWrongType)
				}
				n, err := e.increment("n", 0)
				if n != 7 || err != nil {
					e.errorf("the counter is %d, %v afterwards, want 7", n, err)
				}
			},
		},
		{
			name: "Locked/IncrementIsRefused", needs: []need{counter},
			rule: "Incrementing a locked value is ErrWrongType as ever, and changes nothing: the lock stays.",
			run: func(e *env) {
				e.setLong("k", "v")
				h := e.lock("k", time.Hour)
				_, err := e.increment("k", 1)
				e.wantErr("Increment of a locked value", err, cache.ErrWrongType)
				e.must("Unlock", e.unlock("k", h, 0))
			},
		},
	})
}

func (e *env) tryLock(key string, ttl time.Duration) (cache.VersionedItem, cache.LockHandle, error) {
	return as[cache.Locker](e).GetAndLock(e.ctx, key, ttl, cache.LockOptions{})
}

// lock locks an entry, which must work.
func (e *env) lock(key string, ttl time.Duration) cache.LockHandle {
	e.report.Helper()
	_, handle, err := e.tryLock(key, ttl)
	e.must("GetAndLock", err)
	return handle
}

func (e *env) put(key, value string, h cache.LockHandle) (cache.Version, error) {
	return as[cache.Locker](e).PutAndUnlock(e.ctx, key, []byte(value), h, cache.EntryOptions{TTL: time.Hour})
}

func (e *env) unlock(key string, h cache.LockHandle, ttl time.Duration) error {
	return as[cache.Locker](e).Unlock(e.ctx, key, h, ttl)
}

func (e *env) removeLocked(key string, h cache.LockHandle, want bool) {
	e.report.Helper()
	removed, err := as[cache.Locker](e).RemoveLocked(e.ctx, key, h)
	if removed != want || err != nil {
		e.errorf("RemoveLocked = %v, %v, want %v", removed, err, want)
	}
}

// wantDead checks that a handle ends no lock of the entry and changes nothing.
func (e *env) wantDead(key string, h cache.LockHandle, want error) {
	e.report.Helper()
	before := e.item(key)
	_, err := e.put(key, "by a dead handle", h)
	e.wantErr("PutAndUnlock with a dead handle", err, want)
	e.wantErr("Unlock with a dead handle", e.unlock(key, h, 0), want)
	e.wantErr("Unlock with a dead handle and a ttl", e.unlock(key, h, time.Millisecond), want)
	e.removeLocked(key, h, false)
	after := e.item(key)
	if after.Version != before.Version || string(after.Value) != string(before.Value) || after.Locked != before.Locked {
		e.errorf("a dead handle made %+v of %+v", after, before)
	}
}
