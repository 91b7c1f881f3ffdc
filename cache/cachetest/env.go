package cachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// env is what a case works with: a fresh cache and the passing of time.
type env struct {
	tb     testing.TB
	report reporterTB
	cfg    *Config
	rule   string
	c      cache.Cache
	ctx    context.Context
	paced  atomic.Bool // something had a deadline, which a slow machine may have missed
}

// signal ends a case from anywhere within it.
type signal string

const stopCase signal = "stop"

func (e *env) errorf(format string, args ...any) {
	e.report.Helper()
	e.report.Errorf("%s\n\trule: %s", fmt.Sprintf(format, args...), e.rule)
}

func (e *env) fatalf(format string, args ...any) {
	e.report.Helper()
	e.errorf(format, args...)
	panic(stopCase)
}

// must stops the case if a call that has to work did not.
func (e *env) must(what string, err error) {
	e.report.Helper()
	if err != nil {
		e.fatalf("%s: %v, want no error", what, err)
	}
}

// wantErr checks an error by its sentinel.
func (e *env) wantErr(what string, err, want error) {
	e.report.Helper()
	if !errors.Is(err, want) {
		e.errorf("%s = %v, want an error that is %q", what, err, want)
	}
}

// moment is when a call took place: after before and not after after.
type moment struct{ before, after time.Time }

func (e *env) timed(call func()) moment {
	m := moment{before: time.Now()}
	call()
	e.settle()
	m.after = time.Now()
	return m
}

// settle lets work in the background come to rest where that can be known.
func (e *env) settle() {
	if e.virtual() {
		synctest.Wait()
	}
}

func (e *env) virtual() bool { return e.cfg.RealTime == nil }

// units returns n units of time: seconds, or less where time is real.
func (e *env) units(n float64) time.Duration {
	unit := time.Second
	if !e.virtual() {
		unit = e.cfg.RealTime.Unit
		e.paced.Store(true)
	}
	return time.Duration(n * float64(unit))
}

func (m moment) plus(d time.Duration) moment { return moment{m.before.Add(d), m.after.Add(d)} }

// sleepUntilJustBefore waits until the last millisecond (virtual time) before
// the deadline, or Tolerance before it.
func (e *env) sleepUntilJustBefore(deadline moment) {
	e.paced.Store(true)
	early := time.Millisecond
	if !e.virtual() {
		early = e.cfg.RealTime.Tolerance
	}
	time.Sleep(time.Until(deadline.before.Add(-early)))
}

// sleepUntil waits until the deadline has come, whatever the moment within the
// call was that set it.
func (e *env) sleepUntil(deadline moment) {
	e.paced.Store(true)
	late := time.Duration(0)
	if !e.virtual() {
		late = e.cfg.RealTime.Tolerance
	}
	time.Sleep(time.Until(deadline.after.Add(late)))
}

// missed reports an entry that is not there although it should be.
func (e *env) missed(key string) {
	e.report.Helper()
	e.fatalf("%.20q is gone before its deadline", key)
}

// aliveUntil checks that the entry is there just before the deadline. This
// reads it; it returns when.
func (e *env) aliveUntil(deadline moment, key string) moment {
	e.report.Helper()
	e.sleepUntilJustBefore(deadline)
	var found bool
	m := e.timed(func() { _, found = e.get(key) })
	if !found {
		e.missed(key)
	}
	return m
}

// goneAt checks that the entry is not there any more at the deadline.
func (e *env) goneAt(deadline moment, key string) {
	e.report.Helper()
	e.sleepUntil(deadline)
	if _, found := e.get(key); found {
		e.fatalf("%.20q is still there at its deadline", key)
	}
}

// set stores a value, which must work.
func (e *env) set(key, value string, opts cache.EntryOptions) moment {
	e.report.Helper()
	return e.timed(func() { e.must("Set", e.c.Set(e.ctx, key, []byte(value), opts)) })
}

// setTTL stores a value that lives for so long.
func (e *env) setTTL(key string, ttl time.Duration) moment {
	e.report.Helper()
	return e.set(key, "value of "+key, cache.EntryOptions{TTL: ttl})
}

// setLong stores a value that outlives the case.
func (e *env) setLong(key, value string) {
	e.report.Helper()
	e.set(key, value, cache.EntryOptions{TTL: time.Hour})
}

func (e *env) get(key string) (string, bool) {
	e.report.Helper()
	value, found, err := e.c.Get(e.ctx, key)
	e.must("Get", err)
	return string(value), found
}

func (e *env) refresh(key string) moment {
	e.report.Helper()
	return e.timed(func() { e.must("Refresh", e.c.Refresh(e.ctx, key)) })
}

func (e *env) remove(key string) {
	e.report.Helper()
	e.must("Remove", e.c.Remove(e.ctx, key))
}

func (e *env) wantHit(key, want string) {
	e.report.Helper()
	value, found, err := e.c.Get(e.ctx, key)
	switch {
	case err != nil:
		e.errorf("Get %.40q: %v, want a hit", key, err)
	case !found:
		e.errorf("Get %.40q: a miss, want a hit", key)
	case !bytes.Equal(value, []byte(want)):
		e.errorf("Get %.40q = %s, want %s", key, short(value), short([]byte(want)))
	}
}

func (e *env) wantMiss(key string) {
	e.report.Helper()
	value, found, err := e.c.Get(e.ctx, key)
	if found || err != nil {
		e.errorf("Get %.40q = %s, %v, %v, want a miss and no error", key, short(value), found, err)
	}
}

func short(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%q... (%d bytes)", b[:40], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// as returns a capability that the case said it needs.
func as[T any](e *env) T {
	t, ok := cache.As[T](e.c)
	if !ok {
		panic("cachetest: a case uses a capability that it does not name")
	}
	return t
}
