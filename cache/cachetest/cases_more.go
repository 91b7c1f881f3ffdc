package cachetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

func appenderCases() []testCase {
	out := []testCase{
		{
			name: "AppendTo/Appends",
			rule: "AppendTo is Get, with the value appended to dst.",
			run: func(e *env) {
				e.setLong("k", "value")
				e.setLong("empty", "")
				for _, dst := range [][]byte{nil, {}, []byte("head:"), append(make([]byte, 0, 64), "roomy:"...)} {
					e.wantAppend(dst, "k", string(dst)+"value", true)
					e.wantAppend(dst, "empty", string(dst), true)
				}
			},
		},
		{
			name: "AppendTo/MissKeepsDst",
			rule: "On a miss AppendTo returns dst as it was.",
			run: func(e *env) {
				e.wantAppend([]byte("head"), "absent", "head", false)
				if got, _, _ := as[cache.Appender](e).AppendTo(e.ctx, nil, "absent"); got != nil {
					e.errorf("AppendTo(nil) of a missing key = %#v, want nil", got)
				}
			},
		},
		{
			name: "AppendTo/ErrorKeepsDst",
			rule: "On an error AppendTo returns dst as it was.",
			run: func(e *env) {
				got, found, err := as[cache.Appender](e).AppendTo(e.ctx, []byte("head"), "")
				e.wantErr("AppendTo of an empty key", err, cache.ErrInvalidKey)
				if string(got) != "head" || found {
					e.errorf("AppendTo with an error = %s, %v, want dst, false", short(got), found)
				}
			},
		},
		{
			name: "AppendTo/CopiesTheValue",
			rule: "AppendTo copies: what is done to its result changes no entry.",
			run: func(e *env) {
				e.setLong("k", "value")
				got, _, err := as[cache.Appender](e).AppendTo(e.ctx, nil, "k")
				e.must("AppendTo", err)
				copy(got, "XXXXX")
				e.wantHit("k", "value")
			},
		},
		{
			name: "AppendTo/MovesSliding",
			rule: "Reading an entry with a sliding expiration restarts its window, by AppendTo too.",
			run: func(e *env) {
				set := e.set("k", "v", cache.EntryOptions{SlidingExpiration: e.units(2)})
				e.sleepUntilJustBefore(set.plus(e.units(2)))
				read := e.timed(func() {
					_, found, err := as[cache.Appender](e).AppendTo(e.ctx, nil, "k")
					e.must("AppendTo", err)
					if !found {
						e.missed("k")
					}
				})
				e.aliveUntil(read.plus(e.units(2)), "k")
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, appender)
	}
	return out
}

func (e *env) wantAppend(dst []byte, key, want string, wantFound bool) {
	e.report.Helper()
	got, found, err := as[cache.Appender](e).AppendTo(e.ctx, dst, key)
	if string(got) != want || found != wantFound || err != nil {
		e.errorf("AppendTo(%q) of %s = %s, %v, %v, want %q, %v, nil", dst, key, short(got), found, err, want, wantFound)
	}
}

func clearCases() []testCase {
	return []testCase{
		{
			name: "Clear/Removes", needs: []need{clearer},
			rule: "Clear removes every entry, of whatever kind and expiration; the cache goes on.",
			run: func(e *env) {
				for i := range 100 {
					e.setLong(fmt.Sprint("k", i), "v")
				}
				e.set("forever", "v", cache.EntryOptions{TTL: cache.NoExpiry, Priority: cache.PriorityPinned})
				if n, ok := cache.As[cache.Counter](e.c); ok {
					_, err := n.Increment(e.ctx, "counter", 5, cache.EntryOptions{})
					e.must("Increment", err)
				}
				e.must("Clear", as[cache.Clearer](e).Clear(e.ctx))
				for i := range 100 {
					e.wantMiss(fmt.Sprint("k", i))
				}
				e.wantMiss("forever")
				e.wantMiss("counter")
				e.setLong("k0", "new")
				e.wantHit("k0", "new")
			},
		},
		{
			name: "Clear/OfNothing", needs: []need{clearer},
			rule: "Clearing an empty cache is no error.",
			run: func(e *env) {
				e.must("Clear", as[cache.Clearer](e).Clear(e.ctx))
				e.must("Clear", as[cache.Clearer](e).Clear(e.ctx))
			},
		},
	}
}

func concurrentCases() []testCase {
	return []testCase{{
		name: "Concurrent/Smoke",
		rule: "Every method is safe for concurrent use, and a value read for a key was written for that key.",
		run: func(e *env) {
			const goroutines, rounds, keys = 8, 40, 5
			problems := make(chan string, goroutines)
			var wg sync.WaitGroup
			for g := range goroutines {
				wg.Go(func() {
					for i := range rounds {
						if err := e.useKey(fmt.Sprint("k", (g+i)%keys), g+i/keys); err != nil {
							problems <- err.Error()
							return
						}
					}
				})
			}
			wg.Wait()
			close(problems)
			for p := range problems {
				e.errorf("%s", p)
			}
			for i := range keys {
				key := fmt.Sprint("k", i)
				e.setLong(key, "settled")
				e.wantHit(key, "settled")
			}
		},
	}}
}

// useKey does one thing with a key whose values all begin with it.
func (e *env) useKey(key string, what int) error {
	switch what % 5 {
	case 0:
		return e.c.Set(e.ctx, key, fmt.Append(nil, key, "=", what), cache.EntryOptions{TTL: time.Hour})
	case 2:
		return e.c.Refresh(e.ctx, key)
	case 4:
		return e.c.Remove(e.ctx, key)
	}
	value, found, err := e.c.Get(e.ctx, key)
	if err == nil && found && !strings.HasPrefix(string(value), key+"=") {
		return fmt.Errorf("Get %s = %s, which was written for another key", key, short(value))
	}
	return err
}

func statsCases() []testCase {
	return []testCase{{
		name: "Stats/HitsAndMisses", needs: []need{reporter},
		rule: "Hits are the reads that found a live entry, Misses those that did not.",
		run: func(e *env) {
			e.setLong("k", "v")
			before := as[cache.StatsReporter](e).Stats()
			for range 3 {
				e.wantHit("k", "v")
			}
			for range 2 {
				e.wantMiss("absent")
			}
			after := as[cache.StatsReporter](e).Stats()
			if hits, misses := after.Hits-before.Hits, after.Misses-before.Misses; hits != 3 || misses != 2 {
				e.errorf("3 hits and 2 misses were counted as %d and %d", hits, misses)
			}
		},
	}}
}

func closeCases() []testCase {
	return []testCase{
		{
			name: "Close/ThenErrClosed", needs: []need{backend},
			rule: "After Close every call returns ErrClosed.",
			run: func(e *env) {
				e.setLong("k", "v")
				e.must("Close", as[cache.Backend](e).Close(e.ctx))
				for _, call := range e.calls() {
					e.wantErr(call.name, call.do(e.ctx, "k"), cache.ErrClosed)
				}
				if c, ok := cache.As[cache.Clearer](e.c); ok {
					e.wantErr("Clear", c.Clear(e.ctx), cache.ErrClosed)
				}
			},
		},
		{
			name: "Close/IsIdempotent", needs: []need{backend},
			rule: "Close is idempotent, and safe to call from many goroutines.",
			run: func(e *env) {
				var wg sync.WaitGroup
				errs := make([]error, 4)
				for i := range errs {
					wg.Go(func() { errs[i] = as[cache.Backend](e).Close(e.ctx) })
				}
				wg.Wait()
				for _, err := range errs {
					e.must("Close", err)
				}
				e.must("Close again", as[cache.Backend](e).Close(e.ctx))
			},
		},
		{
			name: "Close/WhileInUse", needs: []need{backend},
			rule: "A call that meets Close either works or returns ErrClosed.",
			run: func(e *env) {
				var wg sync.WaitGroup
				started := make(chan struct{}, 4)
				problems := make(chan error, 4)
				for g := range 4 {
					wg.Go(func() {
						for i := 0; ; i++ {
							err := e.useKey(fmt.Sprint("k", g), i)
							if i == 10 || err != nil && i < 10 {
								started <- struct{}{}
							}
							if err != nil {
								problems <- err
								return
							}
						}
					})
				}
				for range 4 {
					<-started
				}
				e.must("Close", as[cache.Backend](e).Close(context.WithoutCancel(e.ctx)))
				wg.Wait()
				close(problems)
				for err := range problems {
					e.wantErr("a call during Close", err, cache.ErrClosed)
				}
			},
		},
	}
}

func coordinatedCases() []testCase {
	return []testCase{{
		name: "Coordinate/OnePerCache", needs: []need{coordinated},
		rule: "Coordinate returns the coordinator in charge of key and the name it knows key by: the same each time, distinct for distinct keys.",
		run: func(e *env) {
			c := as[cache.Coordinated](e)
			a, nameA := c.Coordinate("a")
			again, nameAgain := c.Coordinate("a")
			b, nameB := c.Coordinate("b")
			if a == nil || a != again || nameA != nameAgain {
				e.errorf("Coordinate of one key is %p %q, then %p %q", a, nameA, again, nameAgain)
			}
			if a == b && nameA == nameB {
				e.errorf("Coordinate gives two keys one name: %q", nameA)
			}
		},
	}}
}
