package cachetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// The cases of this file are about entries that age (cache.Freshness): the typed
// layer refreshes them through the versions of the cache.

// ages is what a cache needs for that.
var ages = need{"versions of what it holds", func(c cache.Cache) bool {
	_, holds := cache.As[cache.Objects](c)
	return versioner.has(c) && (!holds || objectVersioner.has(c))
}}

// aged returns a typed view of entries that are stale after one unit of time,
// expire after four and are kept for as long again.
func (e *env) aged() *cache.Typed[string] {
	typed := cache.NewTyped(e.c, &cache.TypedOptions[string]{
		Defaults:  cache.EntryOptions{TTL: e.units(4)},
		Freshness: cache.Freshness{SoftTTL: e.units(1), StaleIfError: e.units(4)},
	})
	e.tb.Cleanup(func() { _ = typed.Close(context.Background()) })
	return typed
}

var errNoSource = errors.New("the source is down")

func agingCases() []testCase {
	basis := []need{coordinated, leaser, ages}
	cases := []testCase{
		{
			name:  "Aging/StaleIsServedAndRefreshed",
			needs: basis,
			rule:  "A value past its soft TTL is served at once, and one load in the background puts a new one in its place.",
			run: func(e *env) {
				typed := e.aged()
				stored := e.timed(func() { e.must("Set", typed.Set(e.ctx, "k", "old", cache.EntryOptions{})) })
				e.sleepUntil(stored.plus(e.units(1)))
				loaded := make(chan struct{})
				e.wantLoaded(typed, "k", "old", func(context.Context, *cache.Entry) (string, error) {
					defer close(loaded)
					return "new", nil
				})
				<-loaded
				e.settle()
				for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
					value, found, err := typed.Get(e.ctx, "k")
					e.must("Get", err)
					if value == "new" {
						return
					}
					if e.virtual() || time.Now().After(deadline) {
						e.fatalf("after the refresh: %q, %v, want %q", value, found, "new")
					}
				}
			},
		},
		{
			name:  "Aging/ExpiredIsKeptForFailedLoads",
			needs: basis,
			rule:  "A value past its TTL is a miss to Get, and is there for who cannot load another, until StaleIfError has passed.",
			run: func(e *env) {
				typed := e.aged()
				stored := e.timed(func() { e.must("Set", typed.Set(e.ctx, "k", "old", cache.EntryOptions{})) })
				failing := func(context.Context, *cache.Entry) (string, error) { return "", errNoSource }
				e.sleepUntil(stored.plus(e.units(4)))
				if value, found, err := typed.Get(e.ctx, "k"); found || err != nil {
					e.errorf("Get of an expired value = %q, %v, %v, want a miss", value, found, err)
				}
				e.wantLoaded(typed, "k", "old", failing)
				e.sleepUntilJustBefore(stored.plus(e.units(8)))
				e.wantLoaded(typed, "k", "old", failing)
				e.sleepUntil(stored.plus(e.units(8)))
				_, err := typed.GetOrCreateExclusive(e.ctx, "k", failing)
				e.wantErr("GetOrCreateExclusive without a value to fall back on", err, errNoSource)
			},
		},
	}
	for _, w := range []struct {
		name  string
		needs []need
		write func(e *env, typed *cache.Typed[string]) error
		left  string
	}{
		{"Set", nil, func(e *env, t *cache.Typed[string]) error { return t.Set(e.ctx, "k", "written", cache.EntryOptions{}) }, "written"},
		{"Remove", nil, func(e *env, t *cache.Typed[string]) error { return t.Remove(e.ctx, "k") }, miss},
		{"Clear", []need{clearer}, func(e *env, _ *cache.Typed[string]) error { return as[cache.Clearer](e).Clear(e.ctx) }, miss},
		{"EndWrite", []need{marker}, func(e *env, _ *cache.Typed[string]) error { return e.end("k", e.mark("k")) }, miss},
	} {
		cases = append(cases, testCase{
			name:  "Aging/" + w.name + "DuringRefresh",
			needs: append(basis[:len(basis):len(basis)], w.needs...),
			rule:  "A refresh during which its entry is written is not stored, and the old value is not served any more.",
			run:   func(e *env) { e.writeDuringRefresh(w.write, w.left) },
		})
	}
	return cases
}

func (e *env) writeDuringRefresh(write func(*env, *cache.Typed[string]) error, left string) {
	e.report.Helper()
	typed := e.aged()
	stored := e.timed(func() { e.must("Set", typed.Set(e.ctx, "k", "old", cache.EntryOptions{})) })
	e.sleepUntil(stored.plus(e.units(1)))
	started, held, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	e.wantLoaded(typed, "k", "old", func(context.Context, *cache.Entry) (string, error) {
		defer close(ended)
		close(started)
		<-held
		return "refreshed", nil
	})
	<-started
	e.must("the write", write(e, typed))
	look := func(when string) {
		value, found, err := typed.Get(e.ctx, "k")
		e.must("Get", err)
		if found != (left != miss) || found && value != left {
			e.errorf("%s: Get = %q, %v, want %q", when, value, found, left)
		}
	}
	look("after the write")
	release()
	<-ended
	e.settle()
	look("after the refresh")
}
