package cachetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// The cases of this file are about the typed layer on the cache: what
// GetOrCreateExclusive promises holds only if the cache does its part.

func exclusiveCases() []testCase {
	return append([]testCase{
		{
			name: "Exclusive/LoadsOnceAndStores",
			rule: "On a miss the result of create is returned and stored; afterwards it is a hit.",
			run: func(e *env) {
				typed := e.typed()
				var loads atomic.Int32
				for range 3 {
					e.wantLoaded(typed, "k", "loaded", func(context.Context, *cache.Entry) (string, error) {
						loads.Add(1)
						return "loaded", nil
					})
				}
				if n := loads.Load(); n != 1 {
					e.errorf("create ran %d times, want once", n)
				}
			},
		},
		{
			name: "Exclusive/OneLoadForConcurrentCallers",
			rule: "Callers that miss at the same time share one call of create.",
			run: func(e *env) {
				typed := e.typed()
				var loads atomic.Int32
				started, held := make(chan struct{}, 100), make(chan struct{})
				release := sync.OnceFunc(func() { close(held) })
				defer release()
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						e.wantLoaded(typed, "k", "loaded", func(context.Context, *cache.Entry) (string, error) {
							loads.Add(1)
							started <- struct{}{}
							<-held
							return "loaded", nil
						})
					})
				}
				<-started
				e.settle() // where time is virtual: all of them wait now
				release()
				wg.Wait()
				if n := loads.Load(); n != 1 {
					e.errorf("create ran %d times for 20 callers, want once", n)
				}
			},
		},
		{
			name: "Exclusive/KeysLoadApart",
			rule: "Callers of different keys do not wait for each other.",
			run: func(e *env) {
				typed := e.typed()
				e.wantLoaded(typed, "outer", "outer of inner", func(ctx context.Context, _ *cache.Entry) (string, error) {
					inner, err := typed.GetOrCreateExclusive(ctx, "inner", func(context.Context, *cache.Entry) (string, error) {
						return "inner", nil
					})
					return "outer of " + inner, err
				})
			},
		},
		{
			name: "Exclusive/ErrorIsNotStored",
			rule: "An error of create goes to its callers and is not stored; the next caller loads again, at once.",
			run: func(e *env) {
				typed := e.typed()
				broken := errors.New("the source is broken")
				_, err := typed.GetOrCreateExclusive(e.ctx, "k", func(context.Context, *cache.Entry) (string, error) { return "", broken })
				e.wantErr("GetOrCreateExclusive", err, broken)
				if _, found, err := typed.Get(e.ctx, "k"); found || err != nil {
					e.errorf("Get after a failed load = %v, %v, want a miss", found, err)
				}
				e.wantLoaded(typed, "k", "repaired", func(context.Context, *cache.Entry) (string, error) { return "repaired", nil })
				if value, found, err := typed.Get(e.ctx, "k"); value != "repaired" || !found || err != nil {
					e.errorf("Get after the second load = %q, %v, %v, want what it stored", value, found, err)
				}
			},
		},
		{
			name: "Exclusive/LoaderSaysHowLong",
			rule: "create's *Entry says how long the value lives.",
			run: func(e *env) {
				typed := e.typed()
				load := func(context.Context, *cache.Entry) (string, error) { return "again", nil }
				stored := e.timed(func() {
					e.wantLoaded(typed, "k", "first", func(_ context.Context, entry *cache.Entry) (string, error) {
						entry.TTL = e.units(2)
						return "first", nil
					})
				})
				e.sleepUntilJustBefore(stored.plus(e.units(2)))
				if value, found, err := typed.Get(e.ctx, "k"); !found || value != "first" {
					e.must("Get", err)
					e.missed("k")
				}
				e.sleepUntil(stored.plus(e.units(2)))
				e.wantLoaded(typed, "k", "again", load)
			},
		},
		{
			name: "Exclusive/OneCallerLeaves",
			rule: "A caller's context ends that caller's wait only.",
			run: func(e *env) {
				typed := e.typed()
				var loads atomic.Int32
				started, held := make(chan struct{}, 2), make(chan struct{})
				release := sync.OnceFunc(func() { close(held) })
				defer release()
				load := func(ctx context.Context, _ *cache.Entry) (string, error) {
					loads.Add(1)
					started <- struct{}{}
					select {
					case <-held:
						return "loaded", nil
					case <-ctx.Done():
						return "", ctx.Err()
					}
				}
				var wg sync.WaitGroup
				ctx, leave := context.WithCancel(e.ctx)
				left := make(chan struct{})
				wg.Go(func() {
					defer close(left)
					if _, err := typed.GetOrCreateExclusive(ctx, "k", load); !errors.Is(err, context.Canceled) {
						e.errorf("the caller that left got %v, want context.Canceled", err)
					}
				})
				<-started
				wg.Go(func() { e.wantLoaded(typed, "k", "loaded", load) })
				e.settle() // where time is virtual: the second caller waits now
				leave()
				<-left // or the load's end might come first
				e.settle()
				release()
				wg.Wait()
				if n := loads.Load(); n != 1 && e.virtual() {
					e.errorf("create ran %d times, want once: the second caller was there before the first one left", n)
				}
			},
		},
	}, duringLoadCases()...)
}

// duringLoadCases write to a key while it is being loaded. The loader has read
// "stale" by then and does not look at its context.
func duringLoadCases() []testCase {
	type typed = *cache.Typed[string]
	writes := []struct {
		name  string
		needs []need
		write func(e *env, typed typed) error
		left  string // what the write left, or miss
	}{
		{"TypedRemove", nil, func(e *env, t typed) error { return t.Remove(e.ctx, "k") }, miss},
		{"TypedSet", nil, func(e *env, t typed) error {
			return t.Set(e.ctx, "k", "written", cache.EntryOptions{})
		}, "written"},
		{"Remove", []need{coordinated}, func(e *env, _ typed) error { return e.c.Remove(e.ctx, "k") }, miss},
		{"SetThenRemove", []need{coordinated}, func(e *env, _ typed) error {
			e.setLong("k", "bytes")
			return e.c.Remove(e.ctx, "k")
		}, miss},
		{"RemoveMany", []need{coordinated, batcher}, func(e *env, _ typed) error {
			return as[cache.Batcher](e).RemoveMany(e.ctx, []string{"other", "k"})
		}, miss},
		{"SetManyThenRemove", []need{coordinated, batcher}, func(e *env, _ typed) error {
			e.must("SetMany", as[cache.Batcher](e).SetMany(e.ctx, []cache.Item{{Key: "k", Value: []byte("bytes")}}))
			return e.c.Remove(e.ctx, "k")
		}, miss},
		{"AddThenRemoveVersion", []need{coordinated, versioner}, func(e *env, _ typed) error {
			v, err := e.addNew("k", "bytes", time.Hour)
			if errors.Is(err, cache.ErrExists) || errors.Is(err, cache.ErrWrongType) { // Add ended the load, and its callers have written by now
				return e.c.Remove(e.ctx, "k")
			}
			e.must("Add", err)
			_, err = as[cache.Versioner](e).RemoveVersion(e.ctx, "k", v) // the load's callers may have written by now
			return err
		}, miss},
		{"LockThenRemoveLocked", []need{coordinated, locker}, func(e *env, _ typed) error {
			_, err := e.put("k", "bytes", e.force("k", time.Hour))
			e.must("PutAndUnlock", err)
			if _, h, err := e.tryLock("k", time.Hour); err == nil { // else the load's callers have written by now
				_, err = as[cache.Locker](e).RemoveLocked(e.ctx, "k", h)
				return err
			}
			return e.c.Remove(e.ctx, "k")
		}, miss},
		{"EndWrite", []need{coordinated, marker}, func(e *env, _ typed) error {
			return e.end("k", e.mark("k"))
		}, miss},
		{"TypedSetWithMark", []need{coordinated, marker}, func(e *env, t typed) error {
			return t.Set(e.ctx, "k", "written", cache.EntryOptions{Mark: e.mark("k")})
		}, "written"},
		{"Clear", []need{coordinated, clearer}, func(e *env, _ typed) error { return as[cache.Clearer](e).Clear(e.ctx) }, miss},
	}
	var out []testCase
	for _, w := range writes {
		out = append(out, testCase{
			name:  "Exclusive/" + w.name + "DuringLoad",
			needs: w.needs,
			rule:  "A write to a key ends its load in flight (cause ErrInvalidated): a caller that starts afterwards does not join it, and its result is never stored.",
			run:   func(e *env) { e.writeDuringLoad(func(t typed) error { return w.write(e, t) }, w.left) },
		})
	}
	return out
}

func (e *env) writeDuringLoad(write func(*cache.Typed[string]) error, left string) {
	e.report.Helper()
	typed := e.typed()
	var loads atomic.Int32
	started, held := make(chan context.Context, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release() // write may end the case
	load := func(ctx context.Context, _ *cache.Entry) (string, error) {
		if loads.Add(1) > 1 {
			return "fresh", nil
		}
		started <- ctx
		<-held
		return "stale", nil
	}
	first := make(chan error, 1)
	go func() {
		_, err := typed.GetOrCreateExclusive(e.ctx, "k", load)
		first <- err
	}()
	loadCtx := begun(e, started, first)
	writeErr := write(typed)
	select {
	case <-loadCtx.Done():
		e.wantErr("cause of the load's end", context.Cause(loadCtx), cache.ErrInvalidated)
	case <-time.After(time.Second):
		e.errorf("the load's context did not end with the write")
	}
	want := left
	if left == miss {
		want = "fresh"
	}
	late := make(chan struct{})
	go func() { // in its own goroutine, in case it joins the load
		defer close(late)
		e.wantLoaded(typed, "k", want, load)
	}()
	select {
	case <-late:
	case <-time.After(time.Second):
		e.errorf("a caller that came after the write waits for the load that began before")
	}
	release()
	<-late
	e.must("write", writeErr)
	e.must("the first caller", <-first)
	e.settle()
	// The first caller's second load may have been in the late one's way, so
	// that neither was stored; but what is there must be new.
	value, found, err := typed.Get(e.ctx, "k")
	if err != nil || found && value != want || !found && left != miss {
		e.errorf("Get afterwards = %q, %v, %v, want %q", value, found, err, want)
	}
}

// begun returns what a load sends when it begins, and ends the case if its caller
// gets an answer without it.
func begun[T any](e *env, started <-chan T, caller <-chan error) T {
	e.report.Helper()
	select {
	case what := <-started:
		return what
	case err := <-caller:
		e.fatalf("the caller got an answer without a load: %v", err)
		panic("unreachable")
	}
}

// typed returns a typed view of the cache that ends with the case.
func (e *env) typed() *cache.Typed[string] {
	typed := cache.NewTyped[string](e.c, nil)
	e.tb.Cleanup(func() { _ = typed.Close(context.Background()) })
	return typed
}

func (e *env) wantLoaded(typed *cache.Typed[string], key, want string, load func(context.Context, *cache.Entry) (string, error)) {
	e.report.Helper()
	value, err := typed.GetOrCreateExclusive(e.ctx, key, load)
	if value != want || err != nil {
		e.errorf("GetOrCreateExclusive %s = %q, %v, want %q", key, value, err, want)
	}
}
