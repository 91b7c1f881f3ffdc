package cachetest

import (
	"time"

	"github.com/larder-go/larder/cache"
)

func slidingCases() []testCase {
	sliding := func(e *env, units float64) cache.EntryOptions {
		return cache.EntryOptions{SlidingExpiration: e.units(units)}
	}
	return []testCase{
		{
			name: "Sliding/EndsUnread",
			rule: "SlidingExpiration is the time since the last read after which the entry expires; storing counts as one.",
			run: func(e *env) {
				set := e.set("k", "v", sliding(e, 2))
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Sliding/GetMoves",
			rule: "Reading an entry with a sliding expiration restarts its window.",
			run: func(e *env) {
				last := e.set("k", "v", sliding(e, 2))
				for range 3 {
					last = e.aliveUntil(last.plus(e.units(2)), "k")
				}
				e.goneAt(last.plus(e.units(2)), "k")
			},
		},
		{
			name: "Sliding/EarlyGetMoves",
			rule: "Reading an entry with a sliding expiration restarts its window, also early in it.",
			run: func(e *env) {
				set := e.set("k", "v", sliding(e, 2))
				read := e.aliveUntil(set.plus(e.units(0.5)), "k")
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "Sliding/RefreshMoves",
			rule: "Refresh restarts the sliding window of the entry.",
			run: func(e *env) {
				last := e.set("k", "v", sliding(e, 2))
				for range 2 {
					e.sleepUntilJustBefore(last.plus(e.units(2)))
					last = e.refresh("k")
				}
				last = e.aliveUntil(last.plus(e.units(2)), "k")
				e.goneAt(last.plus(e.units(2)), "k")
			},
		},
		{
			name: "Sliding/EndsExactlyAfterRefresh",
			rule: "Refresh restarts the window; it does not make the entry live longer than that.",
			run: func(e *env) {
				set := e.set("k", "v", sliding(e, 2))
				e.sleepUntil(set.plus(e.units(1)))
				e.goneAt(e.refresh("k").plus(e.units(2)), "k")
			},
		},
		{
			name: "Sliding/NeverPastTTL",
			rule: "SlidingExpiration never extends an entry past its TTL.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2), TTL: e.units(3)})
				e.keepReading(set.plus(e.units(3)), "k", e.units(1))
				e.goneAt(set.plus(e.units(3)), "k")
			},
		},
		{
			name: "Sliding/NeverPastAbsolute",
			rule: "SlidingExpiration never extends an entry past its absolute expiration.",
			run: func(e *env) {
				at := e.timed(func() {}).plus(e.units(3))
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2), AbsoluteExpiration: at.before})
				e.keepReading(at, "k", e.units(1))
				e.goneAt(at, "k")
			},
		},
		{
			name: "Sliding/RefreshNeverPastAbsolute",
			rule: "Refresh never extends an entry past its absolute expiration.",
			run: func(e *env) {
				at := e.timed(func() {}).plus(e.units(3))
				e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2), AbsoluteExpiration: at.before})
				for i := range 2 {
					e.sleepUntilJustBefore(at.plus(e.units(float64(i) - 2)))
					e.refresh("k")
				}
				e.aliveUntil(at, "k")
				e.goneAt(at, "k")
			},
		},
		{
			name: "Sliding/WindowLongerThanTTL",
			rule: "A window longer than the TTL leaves the TTL as it is.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: time.Hour, TTL: e.units(2)})
				e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Set/ReplacesOlderSliding",
			rule: "Set replaces the expiration too: after Set with a TTL no older window moves or ends the entry.",
			run: func(e *env) {
				e.set("k", "old", sliding(e, 1))
				set := e.setTTL("k", e.units(2))
				e.aliveUntil(set.plus(e.units(2)), "k") // outlived the window, and moved nothing
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
		{
			name: "Set/ReplacesOlderTTLBySliding",
			rule: "Set replaces the expiration too: after Set with a window no older TTL ends the entry.",
			run: func(e *env) {
				e.setTTL("k", e.units(1))
				set := e.set("k", "new", sliding(e, 2))
				read := e.aliveUntil(set.plus(e.units(2)), "k")
				e.goneAt(read.plus(e.units(2)), "k")
			},
		},
		{
			name: "Sliding/ReadOfAnotherKeyDoesNotMove",
			rule: "Reading restarts the window of the entry that was read.",
			run: func(e *env) {
				set := e.set("k", "v", sliding(e, 2))
				e.set("other", "v", sliding(e, 2))
				e.aliveUntil(set.plus(e.units(1)), "other")
				e.goneAt(set.plus(e.units(2)), "k")
			},
		},
	}
}

// keepReading reads the entry every so often until just before the deadline.
func (e *env) keepReading(deadline moment, key string, every time.Duration) {
	e.report.Helper()
	start := e.timed(func() {})
	for next := start.plus(every); next.before.Before(deadline.before); next = next.plus(every) {
		e.aliveUntil(next, key)
	}
	e.aliveUntil(deadline, key)
}
