package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

func versionCases() []testCase {
	out := []testCase{
		{
			name: "GetItem/IsGetWithMore",
			rule: "GetItem is Get with the entry's version, its TTL and whether a lock stands on it.",
			run: func(e *env) {
				for key, value := range map[string]string{"k": "value", "empty": ""} {
					e.setLong(key, value)
					item := e.item(key)
					if item.Value == nil || string(item.Value) != value || item.Version == (cache.Version{}) || item.Locked {
						e.errorf("GetItem = %+v, want %q with a version and without a lock", item, value)
					}
					e.wantVersion(key, item.Version)
				}
				item, found, err := as[cache.Versioner](e).GetItem(e.ctx, "absent")
				if found || err != nil || item.Value != nil || item.Version != (cache.Version{}) {
					e.errorf("GetItem of a missing key = %+v, %v, %v, want nothing and no error", item, found, err)
				}
			},
		},
		{
			name: "GetItem/TellsTheTTL",
			rule: "An item's TTL is what is left of the entry's life, and NoExpiry if it has no end.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{TTL: e.units(4)})
				e.sleepUntil(set.plus(e.units(1)))
				e.wantTTL("k", set.plus(e.units(4)))
				e.set("k", "v", cache.EntryOptions{TTL: cache.NoExpiry})
				if ttl := e.item("k").TTL; ttl != cache.NoExpiry {
					e.errorf("the TTL of an entry without end is %v, want NoExpiry", ttl)
				}
			},
		},
		{
			name: "GetItem/Copies",
			rule: "An item's value belongs to the caller: what is done to it changes no entry.",
			run: func(e *env) {
				e.setLong("k", "value")
				copy(e.item("k").Value, "XXXXX")
				item, _, _, err := as[cache.Versioner](e).GetIfNewer(e.ctx, "k", cache.Version{})
				e.must("GetIfNewer", err)
				copy(item.Value, "XXXXX")
				e.wantHit("k", "value")
			},
		},
		{
			name: "GetItem/MovesSliding",
			rule: "Reading an entry with a sliding expiration restarts its window, by GetItem too.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				read := e.timed(func() { e.item("k") })
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "GetItem/ExpiredIsGone",
			rule: "An entry is gone at its deadline, for GetItem and GetIfNewer too.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				have := e.version("k")
				e.sleepUntil(set.plus(e.units(1)))
				if _, found, err := as[cache.Versioner](e).GetItem(e.ctx, "k"); found || err != nil {
					e.errorf("GetItem of an expired entry = %v, %v, want a miss", found, err)
				}
				e.wantNewer("k", have, "", false, false)
			},
		},
		{
			name: "GetIfNewer/Same",
			rule: "An entry of the version that the caller has is found and not newer, without its value.",
			run: func(e *env) {
				e.setLong("k", "value")
				e.wantNewer("k", e.version("k"), "", false, true)
			},
		},
		{
			name: "GetIfNewer/Other",
			rule: "An entry of another version than the caller has is newer, and comes with its value and version.",
			run: func(e *env) {
				e.setLong("k", "old")
				old := e.version("k")
				e.setLong("k", "new")
				e.wantNewer("k", old, "new", true, true)
				e.wantNewer("k", cache.Version{}, "new", true, true)
				e.wantNewer("k", cache.Version{1, 2, 3}, "new", true, true)
			},
		},
		{
			name: "GetIfNewer/Missing",
			rule: "A missing entry is not newer, whatever the caller has.",
			run: func(e *env) {
				e.wantNewer("absent", cache.Version{}, "", false, false)
				e.setLong("k", "v")
				have := e.version("k")
				e.remove("k")
				e.wantNewer("k", have, "", false, false)
			},
		},
		{
			name: "GetIfNewer/MovesSliding",
			rule: "Reading an entry with a sliding expiration restarts its window, by GetIfNewer too, also if the caller has it.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				have := e.version("k")
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				read := e.timed(func() {
					if _, _, found, err := as[cache.Versioner](e).GetIfNewer(e.ctx, "k", have); !found || err != nil {
						e.missed("k")
					}
				})
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "Version/ChangesWithEveryWrite",
			rule: "Every write makes another version, also one of the same value; none is ever used again.",
			run: func(e *env) {
				seen := map[cache.Version]bool{}
				for i := range 5 {
					for name, write := range e.sameWrites() {
						write()
						v := e.version("k")
						if seen[v] {
							e.fatalf("round %d: %s made a version that was there before", i, name)
						}
						seen[v] = true
					}
				}
			},
		},
		{
			name: "Version/NotReusedAfterRemove",
			rule: "No version is ever used again, not even after the entry was removed and made anew.",
			run: func(e *env) {
				e.setLong("k", "v")
				old := e.version("k")
				e.remove("k")
				e.setLong("k", "v")
				if e.version("k") == old {
					e.errorf("the entry made anew has the version of the one removed")
				}
				e.wantMismatch("k", old, "v")
			},
		},
		{
			name: "Version/NotReusedAfterExpiry",
			rule: "No version is ever used again, not even after the entry expired and was made anew.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				old := e.version("k")
				e.sleepUntil(set.plus(e.units(1)))
				e.setLong("k", "value of k")
				e.wantMismatch("k", old, "value of k")
			},
		},
		{
			name: "Version/KeptByReads",
			rule: "Only a write makes another version: reading and Refresh do not.",
			run: func(e *env) {
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: time.Hour})
				v := e.version("k")
				e.wantHit("k", "v")
				e.refresh("k")
				e.wantNewer("k", v, "", false, true)
				e.setLong("another", "v")
				e.wantVersion("k", v)
			},
		},
	}
	out = append(out, compareAndSetCases()...)
	out = append(out, addCases()...)
	out = append(out, removeVersionCases()...)
	for i := range out {
		out[i].needs = append(out[i].needs, versioner)
	}
	return out
}

// sameWrites returns all ways to write the same value under k.
func (e *env) sameWrites() map[string]func() {
	v := as[cache.Versioner](e)
	writes := map[string]func(){
		"Set":           func() { e.setLong("k", "same") },
		"Remove, Set":   func() { e.remove("k"); e.setLong("k", "same") },
		"CompareAndSet": func() { e.setLong("k", "same"); e.cas("k", "same", e.version("k")) },
		"Remove, Add": func() {
			e.remove("k")
			_, err := v.Add(e.ctx, "k", []byte("same"), cache.EntryOptions{})
			e.must("Add", err)
		},
	}
	if b, ok := cache.As[cache.Batcher](e.c); ok {
		writes["SetMany"] = func() {
			e.must("SetMany", b.SetMany(e.ctx, []cache.Item{{Key: "k", Value: []byte("same")}}))
		}
	}
	if l, ok := cache.As[cache.Locker](e.c); ok {
		writes["PutAndUnlock"] = func() {
			e.setLong("k", "same")
			_, err := l.PutAndUnlock(e.ctx, "k", []byte("same"), e.lock("k", time.Hour), cache.EntryOptions{})
			e.must("PutAndUnlock", err)
		}
	}
	return writes
}

func (e *env) item(key string) cache.VersionedItem {
	e.report.Helper()
	item, found, err := as[cache.Versioner](e).GetItem(e.ctx, key)
	e.must("GetItem", err)
	if !found {
		e.fatalf("GetItem %.20q: a miss, want a hit", key)
	}
	return item
}

func (e *env) version(key string) cache.Version {
	e.report.Helper()
	return e.item(key).Version
}

func (e *env) wantVersion(key string, want cache.Version) {
	e.report.Helper()
	if e.version(key) != want {
		e.errorf("%.20q has another version than it should", key)
	}
}

// wantTTL checks an item's TTL by the entry's deadline.
func (e *env) wantTTL(key string, deadline moment) {
	e.report.Helper()
	var ttl time.Duration
	read := e.timed(func() { ttl = e.item(key).TTL })
	e.wantLeft("GetItem", ttl, read, deadline)
}

// wantLeft checks what was said, at that time, to be left until the deadline.
func (e *env) wantLeft(what string, ttl time.Duration, read, deadline moment) {
	e.report.Helper()
	slack := time.Millisecond
	if !e.virtual() {
		slack = e.cfg.RealTime.Tolerance
	}
	least, most := deadline.before.Sub(read.after)-slack, deadline.after.Sub(read.before)+slack
	if ttl < least || ttl > most {
		e.errorf("%s: the TTL is %v, want %v to %v", what, ttl, least, most)
		e.paced.Store(true) // a slow machine may be why
	}
}

func (e *env) wantNewer(key string, have cache.Version, value string, newer, found bool) {
	e.report.Helper()
	item, isNewer, isFound, err := as[cache.Versioner](e).GetIfNewer(e.ctx, key, have)
	e.must("GetIfNewer", err)
	if isNewer != newer || isFound != found || string(item.Value) != value {
		e.errorf("GetIfNewer = %s, newer %v, found %v, want %q, %v, %v", short(item.Value), isNewer, isFound, value, newer, found)
	}
	if newer && item.Version != e.version(key) {
		e.errorf("GetIfNewer returns another version than GetItem")
	}
	if !newer && item.Value != nil {
		e.errorf("GetIfNewer returns a value that is not newer")
	}
}

// cas replaces a value, which must work.
func (e *env) cas(key, value string, have cache.Version) cache.Version {
	e.report.Helper()
	v, err := e.tryCAS(key, value, have)
	e.must("CompareAndSet", err)
	return v
}

func (e *env) tryCAS(key, value string, have cache.Version) (cache.Version, error) {
	return as[cache.Versioner](e).CompareAndSet(e.ctx, key, []byte(value), have, cache.EntryOptions{TTL: time.Hour})
}
