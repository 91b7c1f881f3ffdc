package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

func forcedLockCases() []testCase {
	return needLocks(append([]testCase{
		{
			name: "Force/LocksAnAbsentKey",
			rule: "With Force GetAndLock locks an absent key: the item has nothing but Locked, and reads miss.",
			run: func(e *env) {
				item, h, err := as[cache.Locker](e).GetAndLock(e.ctx, "k", time.Hour, cache.LockOptions{Force: true})
				e.must("GetAndLock", err)
				if h == (cache.LockHandle{}) || item.Value != nil || item.Version != (cache.Version{}) || item.TTL != 0 || !item.Locked {
					e.errorf("GetAndLock of an absent key = %+v, want nothing but Locked, and a handle", item)
				}
				e.wantMiss("k")
				e.refresh("k")
				if _, found, err := as[cache.Versioner](e).GetItem(e.ctx, "k"); found || err != nil {
					e.errorf("GetItem of a key that is locked and absent = %v, %v, want a miss", found, err)
				}
				e.wantNewer("k", cache.Version{}, "", false, false)
				if b, ok := cache.As[cache.Batcher](e.c); ok {
					results, err := b.GetMany(e.ctx, []string{"k"})
					e.must("GetMany", err)
					e.wantResults(results, miss)
				}
				_, _, err = e.tryLock("k", time.Hour)
				e.wantErr("a second GetAndLock", err, cache.ErrLocked)
				_, _, err = as[cache.Locker](e).GetAndLock(e.ctx, "k", time.Hour, cache.LockOptions{Force: true})
				e.wantErr("a second GetAndLock with Force", err, cache.ErrLocked)
			},
		},
		{
			name: "Force/PresentIsAsWithout",
			rule: "With Force GetAndLock of an entry is as without.",
			run: func(e *env) {
				e.setLong("k", "v")
				item, h, err := as[cache.Locker](e).GetAndLock(e.ctx, "k", time.Hour, cache.LockOptions{Force: true})
				if err != nil || string(item.Value) != "v" || item.Version != e.version("k") {
					e.errorf("GetAndLock = %+v, %v, want the entry", item, err)
				}
				e.must("Unlock", e.unlock("k", h, 0))
				e.wantHit("k", "v")
			},
		},
		{
			name: "Force/PutAndUnlockStores",
			rule: "PutAndUnlock with the handle of a forced lock stores the entry; with another it is ErrInvalidHandle and stores nothing.",
			run: func(e *env) {
				h := e.force("k", time.Hour)
				_, err := e.put("k", "v", cache.LockHandle{1})
				e.wantErr("PutAndUnlock with another handle", err, cache.ErrInvalidHandle)
				e.wantErr("Unlock with another handle", e.unlock("k", cache.LockHandle{1}, 0), cache.ErrInvalidHandle)
				e.removeLocked("k", cache.LockHandle{1}, false)
				e.wantMiss("k")
				v, err := e.put("k", "v", h)
				e.must("PutAndUnlock", err)
				e.wantHit("k", "v")
				e.wantVersion("k", v)
				e.wantDead("k", h, cache.ErrNotLocked)
			},
		},
		{
			name: "Force/UnlockLeavesItAbsent",
			rule: "Unlock of a forced lock on an absent key leaves it absent, whatever the ttl, and the key is free again.",
			run: func(e *env) {
				for _, ttl := range []time.Duration{0, time.Hour, cache.NoExpiry} {
					h := e.force("k", time.Hour)
					e.must("Unlock", e.unlock("k", h, ttl))
					e.wantMiss("k")
					e.wantErr("Unlock again", e.unlock("k", h, ttl), cache.ErrNoEntry)
				}
				e.setLong("k", "v")
			},
		},
		{
			name: "Force/EndsByItself",
			rule: "A forced lock ends after its ttl: the key is free again and the handle dead.",
			run: func(e *env) {
				var h cache.LockHandle
				locked := e.timed(func() { h = e.force("k", e.units(2)) })
				e.sleepUntilJustBefore(locked.plus(e.units(2)))
				_, _, err := e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock just before the lock ends", err, cache.ErrLocked)
				e.sleepUntil(locked.plus(e.units(2)))
				_, err = e.put("k", "late", h)
				e.wantErr("PutAndUnlock with a lock that ended", err, cache.ErrNoEntry)
				e.wantErr("Unlock of a lock that ended", e.unlock("k", h, 0), cache.ErrNoEntry)
				e.wantMiss("k")
				e.force("k", time.Hour)
			},
		},
		{
			name: "Force/NoEntryToChange",
			rule: "A forced lock is no entry: CompareAndSet and ResetTTL are ErrNoEntry, RemoveVersion removes nothing, and the lock stays.",
			run: func(e *env) {
				h := e.force("k", time.Hour)
				_, err := e.tryCAS("k", "v", cache.Version{1})
				e.wantErr("CompareAndSet", err, cache.ErrNoEntry)
				e.wantErr("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "k", time.Hour), cache.ErrNoEntry)
				e.removeVersion("k", cache.Version{1}, false)
				_, err = e.put("k", "v", h)
				e.must("PutAndUnlock", err)
			},
		},
		{
			name: "Force/RemoveLockedEndsIt",
			rule: "RemoveLocked of a forced lock on an absent key ends the lock; there is no entry to remove.",
			run: func(e *env) {
				e.removeLocked("k", e.force("k", time.Hour), false)
				e.wantMiss("k")
				e.force("k", time.Hour)
			},
		},
		{
			name: "Force/LeaseIsRefused", needs: []need{leaser},
			rule: "While a forced lock stands on an absent key a lease is refused; afterwards it is granted.",
			run: func(e *env) {
				h := e.force("k", time.Hour)
				e.wantLease("k", cache.LeaseReply{State: cache.LeaseRefused})
				e.release("k", cache.Lease(h))
				e.extend("k", cache.Lease(h), time.Hour, false)
				e.wantErr("fill with the handle", e.fill("k", "v", cache.Lease(h)), cache.ErrLeaseLost)
				e.must("Unlock", e.unlock("k", h, 0))
				e.must("fill", e.fill("k", "v", e.lease("k")))
			},
		},
		{
			name: "Force/VoidsTheLease", needs: []need{leaser},
			rule: "A fill into a key that was locked meanwhile is ErrLeaseLost, also after the lock has ended.",
			run: func(e *env) {
				l := e.lease("k")
				h := e.force("k", time.Hour)
				e.wantErr("fill under the lock", e.fill("k", "stale", l), cache.ErrLeaseLost)
				e.wantMiss("k")
				e.must("Unlock", e.unlock("k", h, 0))
				e.wantErr("fill after the lock", e.fill("k", "stale", l), cache.ErrLeaseLost)
				e.wantMiss("k")
			},
		},
	}, forceDropCases()...))
}

// forceDropCases check that every write drops a forced lock.
func forceDropCases() []testCase {
	writes := []struct {
		name  string
		needs []need
		write func(e *env) error
		after error // of Unlock
	}{
		{"Set", nil, func(e *env) error { return e.c.Set(e.ctx, "k", []byte("v"), cache.EntryOptions{}) }, cache.ErrNotLocked},
		{"Remove", nil, func(e *env) error { return e.c.Remove(e.ctx, "k") }, cache.ErrNoEntry},
		{"Add", nil, func(e *env) error { _, err := e.addNew("k", "v", time.Hour); return err }, cache.ErrNotLocked},
		{"Increment", []need{counter}, func(e *env) error { _, err := e.increment("k", 1); return err }, cache.ErrWrongType},
		{"Clear", []need{clearer}, func(e *env) error { return as[cache.Clearer](e).Clear(e.ctx) }, cache.ErrNoEntry},
	}
	var out []testCase
	for _, w := range writes {
		out = append(out, testCase{
			name:  "Force/DroppedBy" + w.name,
			rule:  "A forced lock compels nobody: a write without its handle succeeds and drops the lock.",
			needs: w.needs,
			run: func(e *env) {
				h := e.force("k", time.Hour)
				e.must(w.name, w.write(e))
				e.wantErr("Unlock after the write", e.unlock("k", h, 0), w.after)
				e.setLong("k", "v")
				e.wantDead("k", h, cache.ErrNotLocked)
			},
		})
	}
	return out
}

// force locks an absent key, which must work.
func (e *env) force(key string, ttl time.Duration) cache.LockHandle {
	e.report.Helper()
	_, h, err := as[cache.Locker](e).GetAndLock(e.ctx, key, ttl, cache.LockOptions{Force: true})
	e.must("GetAndLock with Force", err)
	return h
}
