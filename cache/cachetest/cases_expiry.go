package cachetest

import (
	"math"
	"time"

	"github.com/larder-go/larder/cache"
)

func expiryCases() []testCase {
	return append([]testCase{
		{
			name: "Expiry/TTL",
			rule: "TTL is the entry's lifetime from now: it is there until its deadline and gone at it.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(2))
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Expiry/Absolute",
			rule: "AbsoluteExpiration is the time at which the entry expires: it is there until then and gone at it.",
			run: func(e *env) {
				at := e.timed(func() {}).plus(e.units(2))
				e.set("k", "v", cache.EntryOptions{AbsoluteExpiration: at.before})
				e.aliveUntil(at, "k")
				e.goneAt(at, "k")
			},
		},
		{
			name: "Expiry/EarlierTTLWins",
			rule: "If AbsoluteExpiration and TTL are given the earlier wins.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{TTL: e.units(2), AbsoluteExpiration: time.Now().Add(time.Hour)})
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Expiry/EarlierAbsoluteWins",
			rule: "If AbsoluteExpiration and TTL are given the earlier wins.",
			run: func(e *env) {
				at := e.timed(func() {}).plus(e.units(2))
				e.set("k", "v", cache.EntryOptions{TTL: time.Hour, AbsoluteExpiration: at.before})
				e.aliveUntil(at, "k")
				e.goneAt(at, "k")
			},
		},
		{
			name: "Expiry/GetDoesNotMoveTTL",
			rule: "Reading restarts a sliding window only: a TTL ends when it ends.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(2))
				end := set.plus(e.units(2))
				for i := range 3 {
					e.aliveUntil(set.plus(e.units(float64(i+1)/2)), "k")
				}
				e.aliveUntil(end, "k")
				e.goneAt(end, "k")
			},
		},
		{
			name: "Expiry/RefreshDoesNotMoveTTL",
			rule: "Refresh does nothing for an entry without a sliding expiration.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(2))
				e.aliveUntil(set.plus(e.units(1)), "k")
				e.refresh("k")
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Expiry/ExpiredStaysGone",
			rule: "An expired entry is gone: neither Refresh nor reading brings it back, and Remove of it is no error.",
			run: func(e *env) {
				set := e.setTTL("k", e.units(1))
				e.goneAt(set.plus(e.units(1)), "k")
				e.refresh("k")
				e.wantMiss("k")
				e.remove("k")
				e.wantMiss("k")
			},
		},
		{
			name: "Refresh/MissingIsNoError",
			rule: "Refresh does nothing for a missing key.",
			run: func(e *env) {
				e.refresh("absent")
				e.wantMiss("absent")
			},
		},
		{
			name: "Refresh/KeepsValue",
			rule: "Refresh does not change the value.",
			run: func(e *env) {
				e.set("k", "v\x00v", cache.EntryOptions{SlidingExpiration: time.Hour})
				e.refresh("k")
				e.wantHit("k", "v\x00v")
			},
		},
		{
			name: "Set/ReplacesOlderTTL",
			rule: "Set replaces the expiration too: an older, shorter TTL does not end the new entry.",
			run: func(e *env) {
				old := e.setTTL("k", e.units(1))
				e.set("k", "new", cache.EntryOptions{})
				e.sleepUntil(old.plus(e.units(1)))
				e.wantHit("k", "new")
			},
		},
		{
			name: "Set/ReplacesLongerTTL",
			rule: "Set replaces the expiration too: an older, longer TTL does not prolong the new entry.",
			run: func(e *env) {
				e.setLong("k", "old")
				set := e.setTTL("k", e.units(1))
				e.aliveUntil(set.plus(e.units(1)), "k")
				e.goneAt(set.plus(e.units(1)), "k")
			},
		},
		{
			name: "Set/ReplacesNoExpiry",
			rule: "Set replaces the expiration too: an entry that did not expire may be replaced by one that does.",
			run: func(e *env) {
				e.set("k", "old", cache.EntryOptions{TTL: cache.NoExpiry})
				set := e.setTTL("k", e.units(1))
				e.aliveUntil(set.plus(e.units(1)), "k")
				e.goneAt(set.plus(e.units(1)), "k")
			},
		},
		{
			name: "Set/AfterRemoveHasItsOwnTTL",
			rule: "Remove deletes the entry with its expiration: it does not end a later entry.",
			run: func(e *env) {
				old := e.setTTL("k", e.units(1))
				e.remove("k")
				e.setLong("k", "new")
				e.sleepUntil(old.plus(e.units(1)))
				e.wantHit("k", "new")
			},
		},
		{
			name: "Expiry/NoExpiry",
			rule: "NoExpiry makes an entry that does not expire by age.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{TTL: cache.NoExpiry})
				wait := e.units(2)
				if e.virtual() {
					wait = cache.MaxTTL + 365*24*time.Hour
				}
				e.sleepUntil(set.plus(wait))
				e.wantHit("k", "v")
			},
		},
	}, exactExpiryCases()...)
}

// exactExpiryCases need virtual time: they look at single milliseconds, or at
// years.
func exactExpiryCases() []testCase {
	const ms = time.Millisecond
	out := []testCase{
		{
			name: "Expiry/DefaultTTL", exact: true,
			rule: "An entry whose options say nothing about expiration gets the default, and is never immortal.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{})
				e.aliveUntil(set.plus(e.cfg.DefaultTTL), "k")
				e.goneAt(set.plus(e.cfg.DefaultTTL), "k")
			},
		},
		{
			name: "Set/WithoutOptionsReplacesNoExpiry", exact: true,
			rule: "Set without options removes the older expiration and uses the default.",
			run: func(e *env) {
				e.set("k", "old", cache.EntryOptions{TTL: cache.NoExpiry})
				set := e.set("k", "new", cache.EntryOptions{})
				e.aliveUntil(set.plus(e.cfg.DefaultTTL), "k")
				e.goneAt(set.plus(e.cfg.DefaultTTL), "k")
			},
		},
		{
			name: "Expiry/RemainderRoundsUp", exact: true,
			rule: "Durations are rounded up to a millisecond, also the time left until an absolute expiration.",
			run: func(e *env) {
				e.set("k", "v", cache.EntryOptions{AbsoluteExpiration: time.Now().Add(2*ms + 1)})
				time.Sleep(2 * ms)
				e.wantHit("k", "v")
				time.Sleep(ms)
				e.wantMiss("k")
			},
		},
	}
	lifetimes := []struct {
		name string
		why  string
		ttl  time.Duration
		want time.Duration
	}{
		{"OneNanosecond", "rounded up to a millisecond", 1, ms},
		{"AlmostAMillisecond", "rounded up to a millisecond", ms - 1, ms},
		{"OneMillisecond", "the shortest", ms, ms},
		{"JustOverAMillisecond", "rounded up to a millisecond", ms + 1, 2 * ms},
		{"SubSecond", "not cut to whole seconds", 300 * ms, 300 * ms},
		{"OneAndAHalfSeconds", "not cut to whole seconds", 1500 * ms, 1500 * ms},
		{"SecondsAndOneMillisecond", "to the millisecond", 3*time.Second + ms, 3*time.Second + ms},
		{"JustUnderTheLongest", "not cut", cache.MaxTTL - ms, cache.MaxTTL - ms},
		{"Longest", "the longest", cache.MaxTTL, cache.MaxTTL},
		{"OverTheLongest", "cut to MaxTTL", cache.MaxTTL + time.Hour, cache.MaxTTL},
		{"LargestDuration", "cut to MaxTTL", math.MaxInt64, cache.MaxTTL},
	}
	for _, l := range lifetimes {
		out = append(out, testCase{
			name: "Expiry/TTLOf" + l.name, exact: true,
			rule: "Durations have a precision of one millisecond, are rounded up to it and cut to MaxTTL (" + l.why + ").",
			run: func(e *env) {
				set := e.setTTL("k", l.ttl)
				e.aliveUntil(set.plus(l.want), "k")
				e.goneAt(set.plus(l.want), "k")
			},
		}, testCase{
			name: "Expiry/WindowOf" + l.name, exact: true,
			rule: "Durations have a precision of one millisecond, are rounded up to it and cut to MaxTTL (" + l.why + ").",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{TTL: cache.NoExpiry, SlidingExpiration: l.ttl})
				read := e.aliveUntil(set.plus(l.want), "k")
				e.goneAt(read.plus(l.want), "k")
			},
		})
	}
	return out
}
