package cachetest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// regionLoadCases expire regions while entries that depend on them are loaded.
func regionLoadCases() []testCase {
	out := []testCase{
		{
			name: "RegionLoad/StoredUnderItsTokens",
			rule: "What a loader brings depends on the tokens that it named, by AddToken or in its EntryOptions, and a later load is live again.",
			run: func(e *env) {
				typed := e.typedWith(nil)
				for _, n := range []string{"1", "2"} {
					e.wantLoaded(typed, "added", n, naming(n, shopFruit))
					e.wantLoaded(typed, "set", n, func(_ context.Context, entry *cache.Entry) (string, error) {
						entry.Tokens = []cache.Token{shop}
						return n, nil
					})
					e.wantCached(typed, "added", n)
					e.wantCached(typed, "set", n)
					e.expire(shop)
					e.wantAbsent(typed, "added")
					e.wantAbsent(typed, "set")
				}
			},
		},
		{
			name: "RegionLoad/ExpiredAfterNaming",
			rule: "Expiring a token ends the loads of this process that have named it (cause ErrInvalidated): their result is not stored, and later callers load again.",
			run: func(e *env) {
				e.expireDuringLoad(shopFruit, func(entry *cache.Entry, phase int) {
					if phase == 0 {
						entry.AddToken(shopFruit)
					}
				}, true)
			},
		},
		{
			name: "RegionLoad/RegionOfTheKeyExpired",
			rule: "A load that has named a key of a region ends when the region expires.",
			run: func(e *env) {
				e.expireDuringLoad(shop, func(entry *cache.Entry, phase int) {
					if phase == 0 {
						entry.AddToken(shopFruit)
					}
				}, true)
			},
		},
		{
			name: "RegionLoad/NamedAfterExpiring",
			rule: "A token may be named at any time: if it expired since the load began, the result is not stored, and callers that came later do not get it.",
			run: func(e *env) {
				e.expireDuringLoad(shopFruit, func(entry *cache.Entry, phase int) {
					if phase == 1 {
						entry.AddToken(cache.RegionToken("x"), shopFruit)
					}
				}, false)
			},
		},
		{
			name: "RegionLoad/SetAfterExpiring",
			rule: "The same holds for tokens that a loader sets in its EntryOptions.",
			run: func(e *env) {
				e.expireDuringLoad(shop, func(entry *cache.Entry, phase int) {
					if phase == 1 {
						entry.Tokens = []cache.Token{shopFruit}
					}
				}, false)
			},
		},
		{
			name: "RegionLoad/NotStored",
			rule: "The same holds for a result that is not to be stored: later callers do not get it.",
			run: func(e *env) {
				e.expireDuringLoad(shopFruit, func(entry *cache.Entry, phase int) {
					entry.NoStore = phase == 1
					if phase == 1 {
						entry.AddToken(shopFruit)
					}
				}, false)
			},
		},
		{
			name: "RegionLoad/OthersGoOn",
			rule: "A load that depends on another token goes on and is stored.",
			run: func(e *env) {
				e.know(shopFruit)
				typed := e.typedWith(nil)
				load := func(ctx context.Context, entry *cache.Entry) (string, error) {
					entry.AddToken(shopFruit)
					e.expire(cache.RegionToken("sho"), cache.KeyToken("shop", "bread"))
					return "loaded", ctx.Err()
				}
				e.wantLoaded(typed, "k", "loaded", load)
				e.wantCached(typed, "k", "loaded")
			},
		},
		{
			name: "RegionLoad/NestedInheritsNothing",
			rule: "A loader that loads another entry passes no tokens on, and inherits none.",
			run: func(e *env) {
				typed := e.typedWith(nil)
				e.wantLoaded(typed, "outer", "of inner", func(ctx context.Context, entry *cache.Entry) (string, error) {
					entry.AddToken(shop)
					inner, err := typed.GetOrCreateExclusive(ctx, "inner", naming("inner", cache.RegionToken("x")))
					return "of " + inner, err
				})
				e.expire(cache.RegionToken("x"))
				e.wantCached(typed, "outer", "of inner")
				e.wantAbsent(typed, "inner")
				e.wantLoaded(typed, "inner", "inner", naming("inner", cache.RegionToken("x")))
				e.expire(shop)
				e.wantAbsent(typed, "outer")
				e.wantCached(typed, "inner", "inner")
			},
		},
		{
			name: "RegionLoad/TokensOfAll",
			rule: "TypedOptions.Defaults.Tokens are those of every entry of the Typed, what the source does not have included.",
			run: func(e *env) {
				typed := e.typedWith(&cache.TypedOptions[string]{NegativeTTL: time.Hour, Defaults: cache.EntryOptions{Tokens: []cache.Token{shop}}})
				e.must("Set", typed.Set(e.ctx, "set", "v", cache.EntryOptions{Tokens: []cache.Token{cache.RegionToken("x")}}))
				e.wantLoaded(typed, "loaded", "v", naming("v"))
				_, err := typed.GetOrCreateExclusive(e.ctx, "none", func(context.Context, *cache.Entry) (string, error) { return "", cache.ErrNotFound })
				e.wantErr("a load of nothing", err, cache.ErrNotFound)
				e.wantCached(typed, "set", "v")
				e.wantCached(typed, "loaded", "v")
				_, _, err = typed.Get(e.ctx, "none")
				e.wantErr("a negative entry", err, cache.ErrNotFound)
				e.expire(shop)
				for _, key := range []string{"set", "loaded", "none"} {
					e.wantAbsent(typed, key)
				}
			},
		},
		{
			name: "RegionLoad/Many",
			rule: "GetOrCreateMany's loader names tokens for all ids, and through Entry.At for one; each is stored under its own, if that did not expire meanwhile.",
			run: func(e *env) {
				typed := e.typedWith(nil)
				fruit := map[string]bool{"apple": true, "pear": true}
				load := func(expires bool) func(context.Context, []string, *cache.Entry) (map[string]string, error) {
					return func(_ context.Context, ids []string, entry *cache.Entry) (map[string]string, error) {
						if expires {
							e.expire(shopFruit)
						}
						entry.AddToken(cache.RegionToken("x"))
						rows := make(map[string]string)
						for i, id := range ids {
							rows[id] = id
							if fruit[id] {
								entry.At(i).AddToken(shopFruit)
							}
						}
						return rows, nil
					}
				}
				ids := []string{"apple", "bread", "pear", "milk"}
				get := func(expires bool) {
					rows, err := cache.GetOrCreateMany(e.ctx, typed, ids, func(id string) string { return id }, load(expires))
					e.must("GetOrCreateMany", err)
					if len(rows) != len(ids) {
						e.errorf("GetOrCreateMany = %v, want %d rows", rows, len(ids))
					}
				}
				get(false)
				for _, id := range ids {
					e.wantCached(typed, id, id)
				}
				e.expire(shopFruit)
				e.wantAbsent(typed, "apple")
				e.wantCached(typed, "bread", "bread")
				e.expire(cache.RegionToken("x"))
				e.wantAbsent(typed, "milk")
				get(true)
				e.wantCached(typed, "milk", "milk")
			},
		},
		{
			name: "RegionLoad/BadTokens",
			rule: "An invalid token, and more than MaxTokens, are ErrInvalidToken to the callers, and nothing is stored.",
			run: func(e *env) {
				typed := e.typedWith(nil)
				for _, tokens := range [][]cache.Token{{cache.RegionToken("")}, manyTokens(cache.MaxTokens + 1)} {
					_, err := typed.GetOrCreateExclusive(e.ctx, "k", naming("v", tokens...))
					e.wantErr("GetOrCreateExclusive", err, cache.ErrInvalidToken)
					e.wantErr("Set", typed.Set(e.ctx, "k", "v", cache.EntryOptions{Tokens: tokens}), cache.ErrInvalidToken)
				}
				e.wantAbsent(typed, "k")
			},
		},
	}
	for i := range out {
		out[i].needs = []need{regions, leaser, coordinated}
	}
	return out
}

// naming returns a loader that names tokens.
func naming(value string, tokens ...cache.Token) func(context.Context, *cache.Entry) (string, error) {
	return func(_ context.Context, entry *cache.Entry) (string, error) {
		entry.AddToken(tokens...)
		return value, nil
	}
}

// expireDuringLoad expires token while a load is under way that has read "stale"
// and goes on whatever becomes of its context. name is called before (phase 0)
// and after it (phase 1). ends says whether the load is to end at once.
func (e *env) expireDuringLoad(token cache.Token, name func(entry *cache.Entry, phase int), ends bool) {
	e.report.Helper()
	typed := e.typedWith(nil)
	var loads atomic.Int32
	started, held := make(chan context.Context, 1), make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release() // what follows may end the case
	first := make(chan error, 1)
	go func() {
		_, err := typed.GetOrCreateExclusive(e.ctx, "k", func(ctx context.Context, entry *cache.Entry) (string, error) {
			if loads.Add(1) > 1 {
				return "fresh", nil // sent back
			}
			name(entry, 0)
			started <- ctx
			<-held
			name(entry, 1)
			return "stale", nil
		})
		first <- err
	}()
	loadCtx := begun(e, started, first)
	e.expire(token)
	if ends {
		select {
		case <-loadCtx.Done():
			e.wantErr("cause of the load's end", context.Cause(loadCtx), cache.ErrInvalidated)
		case <-time.After(time.Second):
			e.errorf("the load's context did not end with its region")
		}
	}
	late := make(chan struct{})
	go func() {
		defer close(late)
		e.wantLoaded(typed, "k", "fresh", naming("fresh"))
	}()
	if e.settle(); !e.virtual() {
		time.Sleep(e.units(0.2)) // until the late caller has joined, or so
	}
	release()
	<-late
	e.must("the first caller", <-first)
	e.settle()
	value, found, err := typed.Get(e.ctx, "k")
	if err != nil || found && value != "fresh" {
		e.errorf("Get afterwards = %q, %v, %v, want nothing from before", value, found, err)
	}
}

// typedWith returns a typed view of the cache, whose regions are tracked.
func (e *env) typedWith(opts *cache.TypedOptions[string]) *cache.Typed[string] {
	as[cache.Regions](e).TrackRegions()
	typed := cache.NewTyped(e.c, opts)
	e.tb.Cleanup(func() { _ = typed.Close(context.Background()) })
	return typed
}

func (e *env) wantCached(typed *cache.Typed[string], key, want string) {
	e.report.Helper()
	if value, found, err := typed.Get(e.ctx, key); value != want || !found || err != nil {
		e.errorf("Get %s = %q, %v, %v, want %q from the cache", key, value, found, err, want)
	}
}

func (e *env) wantAbsent(typed *cache.Typed[string], key string) {
	e.report.Helper()
	if value, found, err := typed.Get(e.ctx, key); found || err != nil {
		e.errorf("Get %s = %q, %v, %v, want a miss", key, value, found, err)
	}
}
