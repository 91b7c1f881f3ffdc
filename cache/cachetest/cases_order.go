package cachetest

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

func orderCases() []testCase {
	out := []testCase{
		{
			name: "SetIfNewer/NewerReplaces",
			rule: "SetIfNewer stores a value of a later order than the entry's, and the item tells the order.",
			run: func(e *env) {
				for _, order := range []uint64{1, 2, 1 << 32, 1 << 53, 1<<53 + 1, 1<<63 + 1, math.MaxUint64} {
					value := fmt.Sprint("of ", order)
					e.must("SetIfNewer", e.newer("k", value, order))
					e.wantOrdered("k", value, order)
				}
			},
		},
		{
			name: "SetIfNewer/ExpiredRegionIsNoOrder", needs: []need{regions},
			rule: "SetIfNewer takes tokens, and an entry whose region has expired is none: any order replaces it.",
			run: func(e *env) {
				token := cache.RegionToken("rows")
				opts := cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{token}}
				store := func(order uint64) error {
					return as[cache.Ordered](e).SetIfNewer(e.ctx, "k", []byte("v"), order, opts)
				}
				e.must("SetIfNewer", store(7))
				e.wantOrdered("k", "v", 7)
				e.wantErr("SetIfNewer of something older", store(6), cache.ErrOutdated)
				e.must("ExpireTokens", as[cache.Regions](e).ExpireTokens(e.ctx, token))
				e.wantMiss("k")
				e.must("SetIfNewer", store(1))
				e.wantOrdered("k", "v", 1)
			},
		},
		{
			name: "SetIfNewer/OlderIsRefused",
			rule: "SetIfNewer of an older value is an *OutdatedError that tells the entry's order; value, version and expiration stay.",
			run: func(e *env) {
				const is = 1<<53 + 1
				set := e.timed(func() { e.must("SetIfNewer", e.tryNewer("k", "v", is, e.units(2))) })
				version := e.version("k")
				for _, older := range []uint64{1, 1 << 32, is - 1} {
					err := e.newer("k", "older", older)
					e.wantErr("SetIfNewer of something older", err, cache.ErrOutdated)
					var outdated *cache.OutdatedError
					if !errors.As(err, &outdated) || outdated.Current != is {
						e.errorf("the error does not tell the order that is there: %v", err)
					}
				}
				e.wantVersion("k", version)
				e.wantOrdered("k", "v", is)
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "SetIfNewer/SameChangesNothing",
			rule: "SetIfNewer of the order that is there is no error, and nothing changes: a call may be repeated.",
			run: func(e *env) {
				set := e.timed(func() { e.must("SetIfNewer", e.tryNewer("k", "v", 7, e.units(2))) })
				version := e.version("k")
				e.must("SetIfNewer again", e.newer("k", "other", 7))
				e.wantVersion("k", version)
				e.wantHit("k", "v")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "SetIfNewer/NewVersion",
			rule: "What SetIfNewer stores has a version of its own, as after any write.",
			run: func(e *env) {
				e.must("SetIfNewer", e.newer("k", "v", 1))
				first := e.version("k")
				e.must("SetIfNewer", e.newer("k", "v", 2))
				if second := e.version("k"); second == first || second == (cache.Version{}) {
					e.errorf("SetIfNewer kept the version")
				}
			},
		},
		{
			name: "SetIfNewer/OtherWritesForget",
			rule: "A value stored by Set, CompareAndSet, Add or PutAndUnlock has no order: any is newer.", needs: []need{locker},
			run: func(e *env) {
				for name, write := range map[string]func(key string) error{
					"Set": func(key string) error {
						return e.c.Set(e.ctx, key, []byte("plain"), cache.EntryOptions{TTL: time.Hour})
					},
					"CompareAndSet": func(key string) error { _, err := e.tryCAS(key, "plain", e.version(key)); return err },
					"Add": func(key string) error {
						e.remove(key)
						_, err := e.addNew(key, "plain", time.Hour)
						return err
					},
					"PutAndUnlock": func(key string) error { _, err := e.put(key, "plain", e.lock(key, time.Hour)); return err },
				} {
					e.must("SetIfNewer", e.newer(name, "v", 9))
					e.must(name, write(name))
					e.wantOrdered(name, "plain", 0)
					e.must("SetIfNewer after "+name, e.newer(name, "older", 3))
					e.wantOrdered(name, "older", 3)
				}
			},
		},
		{
			name: "SetIfNewer/ForgottenWithTheEntry",
			rule: "An entry that was removed or has expired is forgotten with its order.",
			run: func(e *env) {
				e.must("SetIfNewer", e.newer("removed", "v", 9))
				e.remove("removed")
				e.must("SetIfNewer after Remove", e.newer("removed", "older", 3))
				e.wantOrdered("removed", "older", 3)
				set := e.timed(func() { e.must("SetIfNewer", e.tryNewer("k", "v", 9, e.units(1))) })
				e.sleepUntil(set.plus(e.units(1)))
				e.must("SetIfNewer of what expired", e.newer("k", "older", 3))
				e.wantOrdered("k", "older", 3)
			},
		},
		{
			name: "SetIfNewer/KeptByLocksAndReads", needs: []need{locker},
			rule: "Locking, Unlock, ResetTTL and reads keep an entry's order.",
			run: func(e *env) {
				for _, ttl := range []time.Duration{0, time.Hour, cache.NoExpiry} {
					key := ttl.String()
					e.must("SetIfNewer", e.newer(key, "v", 9))
					item, h, err := e.tryLock(key, time.Hour)
					e.must("GetAndLock", err)
					if item.Order != 9 {
						e.errorf("GetAndLock tells order %d, want 9", item.Order)
					}
					e.wantOrdered(key, "v", 9)
					e.must("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, key, time.Hour))
					e.wantOrdered(key, "v", 9)
					e.must("Unlock", e.unlock(key, h, ttl))
					e.wantOrdered(key, "v", 9)
					e.wantErr("SetIfNewer of something older", e.newer(key, "older", 8), cache.ErrOutdated)
				}
			},
		},
		{
			name: "SetIfNewer/DropsTheLock", needs: []need{locker},
			rule: "SetIfNewer drops a lock if it stores, and leaves it if not.",
			run: func(e *env) {
				e.must("SetIfNewer", e.newer("k", "v", 9))
				h := e.lock("k", time.Hour)
				e.wantErr("SetIfNewer of something older", e.newer("k", "older", 8), cache.ErrOutdated)
				e.must("SetIfNewer of the same", e.newer("k", "same", 9))
				if !e.item("k").Locked {
					e.errorf("the lock is gone although nothing was stored")
				}
				e.must("SetIfNewer", e.newer("k", "new", 10))
				e.wantHit("k", "new")
				e.wantDead("k", h, cache.ErrNotLocked)
			},
		},
		{
			name: "SetIfNewer/VoidsTheLease", needs: []need{leaser},
			rule: "SetIfNewer voids a lease: what a load brings is then not stored.",
			run: func(e *env) {
				l := e.lease("k")
				e.must("SetIfNewer of a key that is being loaded", e.newer("k", "v", 1))
				e.wantErr("fill after SetIfNewer", e.fill("k", "stale", l), cache.ErrLeaseLost)
				e.wantHit("k", "v")
			},
		},
		{
			name: "SetIfNewer/LastInOrderWins",
			rule: "However SetIfNewer calls meet, the last in order is what stays.",
			run: func(e *env) {
				const n = 24
				for round := range 5 { // the last in order may come last by chance
					key := fmt.Sprint("k", round)
					var wg sync.WaitGroup
					start := make(chan struct{})
					for i := range n {
						wg.Go(func() {
							<-start
							order := uint64(i*7%n + 1)
							if err := e.newer(key, fmt.Sprint("of ", order), order); err != nil {
								e.wantErr("SetIfNewer among others", err, cache.ErrOutdated)
							}
						})
					}
					close(start)
					wg.Wait()
					e.wantOrdered(key, fmt.Sprint("of ", n), n)
				}
			},
		},
		{
			name: "SetIfNewer/OtherKinds", needs: []need{counter},
			rule: "SetIfNewer of a counter is ErrWrongType and changes nothing.",
			run: func(e *env) {
				_, err := e.increment("n", 7)
				e.must("Increment", err)
				e.wantErr("SetIfNewer of a counter", e.newer("n", "v", 1), cache.ErrWrongType)
				e.wantCount("n", 7)
			},
		},
		{
			name: "SetIfNewer/BadInput",
			rule: "SetIfNewer refuses order 0, a nil value and bad options, and changes nothing.",
			run: func(e *env) {
				e.must("SetIfNewer", e.newer("k", "v", 1))
				for _, key := range []string{"k", "absent"} {
					e.wantErr("order 0", e.newer(key, "new", 0), cache.ErrInvalidVersion)
					e.wantErr("nil value", as[cache.Ordered](e).SetIfNewer(e.ctx, key, nil, 2, cache.EntryOptions{}), cache.ErrNilValue)
					e.wantErr("bad TTL", e.tryNewer(key, "new", 2, -1), cache.ErrInvalidTTL)
				}
				e.wantOrdered("k", "v", 1)
				e.wantMiss("absent")
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, ordered, versioner)
	}
	return out
}

// newer stores a value that outlives the case, if it is newer.
func (e *env) newer(key, value string, order uint64) error {
	return e.tryNewer(key, value, order, time.Hour)
}

func (e *env) tryNewer(key, value string, order uint64, ttl time.Duration) error {
	return as[cache.Ordered](e).SetIfNewer(e.ctx, key, []byte(value), order, cache.EntryOptions{TTL: ttl})
}

func (e *env) wantOrdered(key, value string, order uint64) {
	e.report.Helper()
	if item := e.item(key); string(item.Value) != value || item.Order != order {
		e.errorf("got %s of order %d, want %q of order %d", short(item.Value), item.Order, value, order)
	}
	e.wantHit(key, value)
}

func fenceCases() []testCase {
	return needLocks([]testCase{
		{
			name: "Fence/Grows",
			rule: "Each lock of a key has a greater fencing token than the one before, however that ended, with an entry or without.",
			run: func(e *env) {
				var last uint64
				take := func(ttl time.Duration) cache.LockHandle {
					if e.virtual() {
						time.Sleep(time.Microsecond) // a server's tokens are its time, which never stands still
					}
					item, h, err := as[cache.Locker](e).GetAndLock(e.ctx, "k", ttl, cache.LockOptions{Force: true})
					e.must("GetAndLock", err)
					if item.Fence <= last || item.Fence > math.MaxInt64 {
						e.errorf("got token %d after %d, want a greater one that fits an int64", item.Fence, last)
					}
					last = item.Fence
					return h
				}
				for range 3 {
					e.must("Unlock", e.unlock("k", take(time.Hour), 0))
				}
				_, err := e.put("k", "v", take(time.Hour))
				e.must("PutAndUnlock", err)
				take(time.Hour)
				e.setLong("k", "dropped the lock")
				locked := e.timed(func() { take(e.units(1)) })
				e.sleepUntil(locked.plus(e.units(1)))
				take(time.Hour)
				e.remove("k")
				take(time.Hour)
			},
		},
		{
			name: "Fence/OfLocksOnly",
			rule: "An item has a fencing token only if it comes from the call that took the lock.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.lock("k", time.Hour)
				if item := e.item("k"); item.Fence != 0 {
					e.errorf("GetItem returns fencing token %d, want none", item.Fence)
				}
			},
		},
	})
}
