package cachetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

func compareAndSetCases() []testCase {
	return []testCase{
		{
			name: "CompareAndSet/Replaces",
			rule: "CompareAndSet replaces the entry if its version is the given one, and returns the new version.",
			run: func(e *env) {
				e.setLong("k", "1")
				first := e.version("k")
				second := e.cas("k", "2", first)
				e.wantHit("k", "2")
				e.wantVersion("k", second)
				if second == first || second == (cache.Version{}) {
					e.errorf("CompareAndSet returned the old version, or none")
				}
				e.wantVersion("k", second)
				e.cas("k", "3", second)
				e.wantHit("k", "3")
			},
		},
		{
			name: "CompareAndSet/MismatchTellsTheVersion",
			rule: "If the entry has another version CompareAndSet is a *VersionMismatchError that tells it, and changes neither value nor version.",
			run: func(e *env) {
				e.setLong("k", "1")
				first := e.version("k")
				e.cas("k", "2", first)
				e.wantMismatch("k", first, "2")
				e.wantMismatch("k", cache.Version{1, 2, 3}, "2")
				e.setLong("other", "v")
				e.wantMismatch("k", e.version("other"), "2")
			},
		},
		{
			name: "CompareAndSet/MismatchKeepsTTL",
			rule: "If the entry has another version nothing changes: its expiration stays.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(2))
				_, err := e.tryCAS("k", "new", cache.Version{1})
				e.wantErr("CompareAndSet with another version", err, cache.ErrVersionMismatch)
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "CompareAndSet/NeverMakesAnEntry",
			rule: "CompareAndSet of a missing entry is ErrNoEntry, and makes none, also if it had that version once.",
			run: func(e *env) {
				_, err := e.tryCAS("absent", "v", cache.Version{1})
				e.wantErr("CompareAndSet of nothing", err, cache.ErrNoEntry)
				e.wantMiss("absent")
				e.setLong("k", "v")
				old := e.version("k")
				e.remove("k")
				_, err = e.tryCAS("k", "new", old)
				e.wantErr("CompareAndSet of what was removed", err, cache.ErrNoEntry)
				e.wantMiss("k")
			},
		},
		{
			name: "CompareAndSet/ExpiredIsNoEntry",
			rule: "An expired entry is gone: CompareAndSet with its version is ErrNoEntry.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				old := e.version("k")
				e.sleepUntil(set.plus(e.units(1)))
				_, err := e.tryCAS("k", "new", old)
				e.wantErr("CompareAndSet of what expired", err, cache.ErrNoEntry)
				e.wantMiss("k")
			},
		},
		{
			name: "CompareAndSet/OneOfManyWins",
			rule: "Of many calls at once with one version exactly one replaces the entry; the others are ErrVersionMismatch.",
			run: func(e *env) {
				e.setLong("k", "v")
				have := e.version("k")
				won := e.oneOf(16, cache.ErrVersionMismatch, func(i int) error {
					_, err := e.tryCAS("k", fmt.Sprint("by ", i), have)
					return err
				})
				e.wantHit("k", fmt.Sprint("by ", won))
			},
		},
		{
			name: "CompareAndSet/NewExpiration",
			rule: "CompareAndSet replaces the entry, including its expiration.",
			run: func(e *env) {
				e.setTTL("k", e.units(1))
				e.setTTL("short", time.Hour)
				set := e.timed(func() { e.cas("k", "long", e.version("k")) })
				have := e.version("short")
				replaced := e.timed(func() {
					_, err := as[cache.Versioner](e).CompareAndSet(e.ctx, "short", []byte("v"), have, cache.EntryOptions{TTL: e.units(2)})
					e.must("CompareAndSet", err)
				})
				e.sleepUntil(set.plus(e.units(1)))
				e.wantHit("k", "long")
				e.aliveUntil(replaced.plus(e.units(2)), "short")
				e.goneAt(replaced.plus(e.units(2)), "short")
			},
		},
		{
			name: "CompareAndSet/BadInput",
			rule: "CompareAndSet refuses the zero version, a nil value and bad options, and changes nothing.",
			run: func(e *env) {
				v := as[cache.Versioner](e)
				e.setLong("k", "v")
				have := e.version("k")
				_, err := e.tryCAS("k", "new", cache.Version{})
				e.wantErr("no version", err, cache.ErrInvalidVersion)
				_, err = e.tryCAS("absent", "new", cache.Version{})
				e.wantErr("no version of nothing", err, cache.ErrInvalidVersion)
				_, err = v.CompareAndSet(e.ctx, "k", nil, have, cache.EntryOptions{})
				e.wantErr("nil value", err, cache.ErrNilValue)
				_, err = v.CompareAndSet(e.ctx, "k", []byte("new"), have, cache.EntryOptions{TTL: -1})
				e.wantErr("bad TTL", err, cache.ErrInvalidTTL)
				e.wantHit("k", "v")
				e.wantVersion("k", have)
				e.wantMiss("absent")
			},
		},
		{
			name: "Version/OtherKindsHaveNone", needs: []need{counter},
			rule: "Versions are those of byte values: with a counter each call of Versioner is ErrWrongType and changes nothing.",
			run: func(e *env) {
				_, err := e.increment("n", 7)
				e.must("Increment", err)
				for _, call := range versionCalls(e.c) {
					e.wantErr(call.name, call.do(e.ctx, "n"), cache.ErrWrongType)
				}
				n, err := e.increment("n", 0)
				if n != 7 || err != nil {
					e.errorf("the counter is %d, %v afterwards, want 7", n, err)
				}
			},
		},
	}
}

func addCases() []testCase {
	return []testCase{
		{
			name: "Add/Stores",
			rule: "Add stores the entry if there is none, with its expiration, and returns its version.",
			run: func(e *env) {
				var version cache.Version
				added := e.timed(func() {
					v, err := e.addNew("k", "v", e.units(2))
					e.must("Add", err)
					version = v
				})
				e.wantVersion("k", version)
				e.aliveUntil(added.plus(e.units(2)), "k")
				e.goneAt(added.plus(e.units(2)), "k")
				_, err := e.addNew("k", "anew", time.Hour)
				e.must("Add of what expired", err)
				e.wantHit("k", "anew")
			},
		},
		{
			name: "Add/ExistsChangesNothing",
			rule: "If there is an entry Add changes nothing and is ErrExists: value, version and expiration stay.",
			run: func(e *env) {
				set := e.set("k", "old", cache.EntryOptions{TTL: e.units(2)})
				version := e.version("k")
				_, err := e.addNew("k", "new", time.Hour)
				e.wantErr("Add of what is there", err, cache.ErrExists)
				e.wantHit("k", "old")
				e.wantVersion("k", version)
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Add/OneOfManyWins",
			rule: "Of many Adds of one key at once exactly one stores; the others are ErrExists.",
			run: func(e *env) {
				won := e.oneOf(16, cache.ErrExists, func(i int) error {
					_, err := e.addNew("k", fmt.Sprint("by ", i), time.Hour)
					return err
				})
				e.wantHit("k", fmt.Sprint("by ", won))
			},
		},
		{
			name: "Add/BadInput",
			rule: "Add refuses a nil value and bad options, and stores nothing.",
			run: func(e *env) {
				v := as[cache.Versioner](e)
				_, err := v.Add(e.ctx, "k", nil, cache.EntryOptions{})
				e.wantErr("nil value", err, cache.ErrNilValue)
				_, err = v.Add(e.ctx, "k", []byte("v"), cache.EntryOptions{TTL: -1})
				e.wantErr("bad TTL", err, cache.ErrInvalidTTL)
				e.wantMiss("k")
			},
		},
		{
			name: "Add/VoidsTheLease", needs: []need{leaser},
			rule: "A lease is no entry: Add stores, and voids it as Set does.",
			run: func(e *env) {
				l := e.lease("k")
				_, err := e.addNew("k", "added", time.Hour)
				e.must("Add of a key that is being loaded", err)
				e.wantErr("fill after Add", e.fill("k", "stale", l), cache.ErrLeaseLost)
				e.wantHit("k", "added")
			},
		},
	}
}

func removeVersionCases() []testCase {
	return []testCase{
		{
			name: "RemoveVersion/Removes",
			rule: "RemoveVersion removes the entry if its version is the given one, and says so.",
			run: func(e *env) {
				e.setLong("k", "v")
				have := e.version("k")
				e.removeVersion("k", have, true)
				e.wantMiss("k")
				e.removeVersion("k", have, false)
			},
		},
		{
			name: "RemoveVersion/MismatchIsNoError",
			rule: "RemoveVersion of another version, or of nothing, removes nothing, says so, and is no error.",
			run: func(e *env) {
				e.setLong("k", "old")
				old := e.version("k")
				e.setLong("k", "new")
				e.removeVersion("k", old, false)
				e.removeVersion("k", cache.Version{1}, false)
				e.removeVersion("absent", old, false)
				e.wantHit("k", "new")
			},
		},
		{
			name: "RemoveVersion/NoVersion",
			rule: "The zero version is ErrInvalidVersion.",
			run: func(e *env) {
				e.setLong("k", "v")
				_, err := as[cache.Versioner](e).RemoveVersion(e.ctx, "k", cache.Version{})
				e.wantErr("RemoveVersion without a version", err, cache.ErrInvalidVersion)
				e.wantHit("k", "v")
			},
		},
	}
}

func (e *env) addNew(key, value string, ttl time.Duration) (cache.Version, error) {
	return as[cache.Versioner](e).Add(e.ctx, key, []byte(value), cache.EntryOptions{TTL: ttl})
}

func (e *env) removeVersion(key string, have cache.Version, want bool) {
	e.report.Helper()
	removed, err := as[cache.Versioner](e).RemoveVersion(e.ctx, key, have)
	if removed != want || err != nil {
		e.errorf("RemoveVersion = %v, %v, want %v", removed, err, want)
	}
}

// wantMismatch checks that CompareAndSet with have is refused, tells the version
// that is there, and leaves value and version.
func (e *env) wantMismatch(key string, have cache.Version, value string) {
	e.report.Helper()
	is := e.version(key)
	made, err := e.tryCAS(key, "stale", have)
	e.wantErr("CompareAndSet with another version", err, cache.ErrVersionMismatch)
	var mismatch *cache.VersionMismatchError
	if !errors.As(err, &mismatch) || mismatch.Current != is {
		e.errorf("the mismatch does not tell the version that is there: %v", err)
	}
	if made != (cache.Version{}) {
		e.errorf("CompareAndSet returned a version and an error")
	}
	e.wantHit(key, value)
	e.wantVersion(key, is)
}

// oneOf makes n calls at once. One must work, the others must be refused; it
// returns which one did.
func (e *env) oneOf(n int, refused error, do func(i int) error) (won int) {
	e.report.Helper()
	var wg sync.WaitGroup
	var wins atomic.Int64
	var winner atomic.Int64
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			if err := do(i); err == nil {
				wins.Add(1)
				winner.Store(int64(i))
			} else {
				e.wantErr("a call that comes too late", err, refused)
			}
		})
	}
	close(start)
	wg.Wait()
	if wins.Load() != 1 {
		e.fatalf("%d of %d calls at once worked, want one", wins.Load(), n)
	}
	return int(winner.Load())
}
