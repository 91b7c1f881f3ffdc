package cachetest

import (
	"math"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

func counterCases() []testCase {
	out := []testCase{
		{
			name: "Counter/StartsAtZero",
			rule: "An absent counter starts at 0; adding 0 to it makes it.",
			run: func(e *env) {
				e.wantNoCount("a")
				e.add("a", 5, 5)
				e.wantCount("a", 5)
				e.add("zero", 0, 0)
				e.wantCount("zero", 0)
			},
		},
		{
			name: "Counter/AddsAndSubtracts",
			rule: "Increment adds delta, which may be negative or 0, and returns the new value.",
			run: func(e *env) {
				want := int64(0)
				for _, delta := range []int64{1, 41, -50, 0, 1000000, -1} {
					want += delta
					e.add("n", delta, want)
					e.wantCount("n", want)
				}
			},
		},
		{
			name: "Counter/ExactBeyond2To53",
			rule: "Counters are exact over the whole range of int64.",
			run: func(e *env) {
				e.add("n", 1<<53, 1<<53)
				e.add("n", 1, 1<<53+1)
				e.wantCount("n", 1<<53+1)
				e.add("low", math.MinInt64, math.MinInt64)
				e.wantCount("low", math.MinInt64)
				e.add("low", math.MaxInt64, -1)
				e.add("high", math.MaxInt64, math.MaxInt64)
				e.wantCount("high", math.MaxInt64)
				e.add("high", math.MinInt64, -1)
			},
		},
		{
			name: "Counter/OverflowAbove",
			rule: "If the result does not fit an int64 Increment returns ErrOverflow and changes nothing.",
			run: func(e *env) {
				e.add("n", math.MaxInt64-1, math.MaxInt64-1)
				for _, delta := range []int64{2, math.MaxInt64} {
					_, err := e.increment("n", delta)
					e.wantErr("Increment over the top", err, cache.ErrOverflow)
					e.wantCount("n", math.MaxInt64-1)
				}
				e.add("n", 1, math.MaxInt64)
			},
		},
		{
			name: "Counter/OverflowBelow",
			rule: "If the result does not fit an int64 Increment returns ErrOverflow and changes nothing.",
			run: func(e *env) {
				e.add("n", math.MinInt64+1, math.MinInt64+1)
				for _, delta := range []int64{-2, math.MinInt64} {
					_, err := e.increment("n", delta)
					e.wantErr("Increment under the bottom", err, cache.ErrOverflow)
					e.wantCount("n", math.MinInt64+1)
				}
				e.add("n", -1, math.MinInt64)
			},
		},
		{
			name: "Counter/IsNoValue",
			rule: "A counter and a value are different kinds of entry: reading one as the other is ErrWrongType and changes nothing.",
			run: func(e *env) {
				e.add("n", 42, 42)
				value, found, err := e.c.Get(e.ctx, "n")
				e.wantErr("Get of a counter", err, cache.ErrWrongType)
				if found || value != nil {
					e.errorf("Get of a counter = %s, %v, want nothing beside the error", short(value), found)
				}
				if b, ok := cache.As[cache.Batcher](e.c); ok {
					e.setLong("v", "v")
					results, err := b.GetMany(e.ctx, []string{"v", "n"})
					e.must("GetMany", err)
					e.wantErr("GetMany of a counter", results[1].Err, cache.ErrWrongType)
					e.wantResults(results[:1], "v")
				}
				e.wantCount("n", 42)
				e.add("n", 1, 43)
			},
		},
		{
			name: "Counter/ValueIsNoCounter",
			rule: "A value is no counter, whatever its bytes: Count and Increment are ErrWrongType and change nothing.",
			run: func(e *env) {
				for _, value := range []string{"42", "text", "", "\x00\x00\x00\x00\x00\x00\x00\x2a"} {
					e.setLong("v", value)
					_, err := e.increment("v", 1)
					e.wantErr("Increment of a value", err, cache.ErrWrongType)
					_, _, err = as[cache.Counter](e).Count(e.ctx, "v")
					e.wantErr("Count of a value", err, cache.ErrWrongType)
					e.wantHit("v", value)
				}
			},
		},
		{
			name: "Counter/SetReplaces",
			rule: "Set replaces a counter as it replaces a value.",
			run: func(e *env) {
				e.add("n", 1, 1)
				e.setLong("n", "value")
				e.wantHit("n", "value")
			},
		},
		{
			name: "Counter/RemoveRemoves",
			rule: "Remove deletes a counter as it deletes a value; afterwards it starts at 0.",
			run: func(e *env) {
				e.add("n", 7, 7)
				e.remove("n")
				e.wantNoCount("n")
				e.wantMiss("n")
				e.add("n", 1, 1)
			},
		},
		{
			name: "Counter/ConcurrentSumIsExact",
			rule: "Many callers change a counter at once, and none of their changes is lost.",
			run: func(e *env) {
				const goroutines, each = 8, 25
				var wg sync.WaitGroup
				errs := make([]error, goroutines)
				for g := range goroutines {
					wg.Go(func() {
						for range each {
							if _, err := e.increment("n", int64(g)+1); err != nil {
								errs[g] = err
							}
						}
					})
				}
				wg.Wait()
				for _, err := range errs {
					e.must("Increment", err)
				}
				e.wantCount("n", each*goroutines*(goroutines+1)/2)
			},
		},
	}
	out = append(out, counterExpiryCases()...)
	for i := range out {
		out[i].needs = append(out[i].needs, counter)
	}
	return out
}

func counterExpiryCases() []testCase {
	return []testCase{
		{
			name: "Counter/TTL",
			rule: "A new counter gets its expiration from opts, and starts at 0 again when it is gone.",
			run: func(e *env) {
				made := e.addTTL("n", e.units(2))
				e.sleepUntilJustBefore(made.plus(e.units(2)))
				if _, found := e.count("n"); !found {
					e.missed("n")
				}
				e.sleepUntil(made.plus(e.units(2)))
				e.wantNoCount("n")
				e.add("n", 1, 1)
			},
		},
		{
			name: "Counter/KeepsItsTTL",
			rule: "An existing counter keeps its own expiration, whatever the options of a later Increment.",
			run: func(e *env) {
				made := e.addTTL("n", e.units(2))
				e.sleepUntil(made.plus(e.units(1)))
				if n, _ := e.increment("n", 1); n != 2 {
					e.missed("n")
				}
				e.sleepUntil(made.plus(e.units(2)))
				e.wantNoCount("n")
			},
		},
		{
			name: "Counter/ShorterTTLDoesNotApply",
			rule: "An existing counter keeps its own expiration, whatever the options of a later Increment.",
			run: func(e *env) {
				e.add("n", 1, 1)
				short := e.addTTL("n", e.units(1))
				e.sleepUntil(short.plus(e.units(1)))
				e.wantCount("n", 2)
			},
		},
		{
			name: "Counter/DefaultTTL", exact: true,
			rule: "A new counter whose options say nothing gets the default, and is never immortal.",
			run: func(e *env) {
				start := time.Now()
				_, err := as[cache.Counter](e).Increment(e.ctx, "n", 1, cache.EntryOptions{})
				e.must("Increment", err)
				time.Sleep(time.Until(start.Add(e.cfg.DefaultTTL - time.Millisecond)))
				e.wantCount("n", 1)
				time.Sleep(time.Until(start.Add(e.cfg.DefaultTTL)))
				e.wantNoCount("n")
			},
		},
		{
			name: "Counter/SlidingIsRefused",
			rule: "A counter has an absolute expiration or a TTL only: a sliding one is refused with ErrInvalidTTL.",
			run: func(e *env) {
				e.add("n", 1, 1)
				for _, key := range []string{"n", "absent"} {
					_, err := as[cache.Counter](e).Increment(e.ctx, key, 1, cache.EntryOptions{SlidingExpiration: time.Minute})
					e.wantErr("Increment with a window", err, cache.ErrInvalidTTL)
				}
				e.wantCount("n", 1)
				e.wantNoCount("absent")
			},
		},
	}
}

func (e *env) increment(key string, delta int64) (int64, error) {
	return as[cache.Counter](e).Increment(e.ctx, key, delta, cache.EntryOptions{TTL: time.Hour})
}

func (e *env) add(key string, delta, want int64) {
	e.report.Helper()
	n, err := e.increment(key, delta)
	e.must("Increment", err)
	if n != want {
		e.errorf("Increment %s by %d = %d, want %d", key, delta, n, want)
	}
}

// addTTL adds 1 to a counter that lives for so long if it is new.
func (e *env) addTTL(key string, ttl time.Duration) moment {
	e.report.Helper()
	return e.timed(func() {
		_, err := as[cache.Counter](e).Increment(e.ctx, key, 1, cache.EntryOptions{TTL: ttl})
		e.must("Increment", err)
	})
}

func (e *env) count(key string) (int64, bool) {
	e.report.Helper()
	n, found, err := as[cache.Counter](e).Count(e.ctx, key)
	e.must("Count", err)
	return n, found
}

func (e *env) wantCount(key string, want int64) {
	e.report.Helper()
	if n, found := e.count(key); n != want || !found {
		e.errorf("Count %s = %d, %v, want %d, true", key, n, found, want)
	}
}

func (e *env) wantNoCount(key string) {
	e.report.Helper()
	if n, found := e.count(key); found {
		e.errorf("Count %s = %d, want a miss", key, n)
	}
}
