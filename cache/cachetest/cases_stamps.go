package cachetest

import (
	"context"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

// stampCases check how fills are stamped, what is refused, and what else a dead
// entry is to each call.
func stampCases() []testCase {
	out := []testCase{
		{
			name: "Regions/Unexpired",
			rule: "Unexpired reports whether none of the tokens, nor what they belong to, expired after the Moment.",
			run: func(e *env) {
				e.know(shopFruit, cache.RegionToken("x"))
				before := e.moment()
				e.expire(shop)
				after := e.moment()
				for _, tt := range []struct {
					since  cache.Moment
					tokens []cache.Token
					want   bool
				}{
					{before, []cache.Token{shop}, false},
					{before, []cache.Token{shopFruit}, false},
					{before, []cache.Token{cache.RegionToken("x"), shop}, false},
					{before, []cache.Token{cache.RegionToken("x"), cache.GlobalToken()}, true},
					{before, nil, true},
					{after, []cache.Token{shop, shopFruit, cache.RegionToken("x"), cache.GlobalToken()}, true},
					{cache.Moment{}, []cache.Token{cache.RegionToken("x")}, false},
					{cache.Moment{1, 2, 3}, []cache.Token{cache.RegionToken("x")}, false},
				} {
					if got := e.unexpired(e.ctx, tt.since, tt.tokens...); got != tt.want {
						e.errorf("Unexpired of %v = %v, want %v", tt.tokens, got, tt.want)
					}
				}
			},
		},
		{
			name: "Regions/SinceRefusesTheFill",
			rule: "A Set that names a Moment stores only if none of its tokens expired after it, whenever they were named; else it is ErrRegionExpired and nothing changes.",
			run: func(e *env) {
				fill := func(key string, since cache.Moment, tokens ...cache.Token) error {
					return e.c.Set(e.ctx, key, []byte("filled"), cache.EntryOptions{TTL: time.Hour, Tokens: tokens, Since: since})
				}
				e.know(shopFruit, cache.KeyToken("shop", "bread"))
				before := e.moment()
				e.setLong("k", "old")
				e.expire(shopFruit)
				e.wantErr("Set", fill("k", before, shopFruit), cache.ErrRegionExpired)
				e.wantErr("Set", fill("k", before, cache.RegionToken("x"), shopFruit), cache.ErrRegionExpired)
				e.wantErr("Set", fill("k", cache.Moment{1, 2, 3}, cache.RegionToken("x")), cache.ErrRegionExpired)
				e.wantHit("k", "old")
				e.must("Set of a sibling", fill("sibling", before, cache.KeyToken("shop", "bread")))
				e.must("Set", fill("k", e.moment(), shopFruit))
				e.wantHit("k", "filled")
				e.wantHit("sibling", "filled")
				e.expire(cache.GlobalToken())
				e.wantErr("Set", fill("late", before, cache.RegionToken("never named")), cache.ErrRegionExpired)
				e.wantMiss("k")
				e.wantMiss("late")
			},
		},
		{
			name:  "Regions/LeaseBringsTheMoment",
			rule:  "Once regions are tracked the reply to Lease brings the Moment before the load, and the fill under it is refused if a token expired since.",
			needs: []need{leaser},
			run: func(e *env) {
				as[cache.Regions](e).TrackRegions()
				l := as[cache.Leaser](e)
				one, err := l.Lease(e.ctx, "one", time.Minute)
				e.must("Lease", err)
				many, err := l.LeaseMany(e.ctx, []string{"many"}, time.Minute)
				e.must("LeaseMany", err)
				e.expire(shop)
				for key, reply := range map[string]cache.LeaseReply{"one": one, "many": many[0]} {
					if reply.Moment == (cache.Moment{}) {
						e.fatalf("the lease of %s brings no Moment", key)
					}
					opts := cache.EntryOptions{TTL: time.Hour, Lease: reply.Lease, Since: reply.Moment, Tokens: []cache.Token{shop}}
					e.wantErr("a fill from before", e.c.Set(e.ctx, key, []byte("v"), opts), cache.ErrRegionExpired)
					e.wantMiss(key)
				}
				reply, err := l.Lease(e.ctx, "next", time.Minute)
				e.must("Lease", err)
				opts := cache.EntryOptions{TTL: time.Hour, Lease: reply.Lease, Since: reply.Moment, Tokens: []cache.Token{shop}}
				e.must("a fill from after", e.c.Set(e.ctx, "next", []byte("v"), opts))
				e.wantHit("next", "v")
			},
		},
		{
			name: "Regions/BadTokens",
			rule: "An invalid token and more than MaxTokens are ErrInvalidToken, and nothing changes. Expiring none is done.",
			run: func(e *env) {
				r := as[cache.Regions](e)
				long := strings.Repeat("a", cache.MaxTokenLength)
				e.setUnder("live", shop)
				e.setUnder("long", cache.KeyToken(long, long))
				for _, bad := range []cache.Token{
					cache.RegionToken(""), cache.RegionToken(long + "a"), cache.KeyToken("", "k"), cache.KeyToken("shop", ""), cache.KeyToken("shop", long+"a"),
				} {
					e.wantErr("Set", e.c.Set(e.ctx, "k", []byte("v"), cache.EntryOptions{Tokens: []cache.Token{shop, bad}}), cache.ErrInvalidToken)
					e.wantErr("ExpireTokens", r.ExpireTokens(e.ctx, shop, bad), cache.ErrInvalidToken)
					_, err := r.Unexpired(e.ctx, e.moment(), []cache.Token{bad})
					e.wantErr("Unexpired", err, cache.ErrInvalidToken)
				}
				e.wantErr("Set", e.c.Set(e.ctx, "k", []byte("v"), cache.EntryOptions{Tokens: manyTokens(cache.MaxTokens + 1)}), cache.ErrInvalidToken)
				e.expire()
				e.wantMiss("k")
				e.wantHit("live", "value of live")
				e.wantHit("long", "value of long")
				e.expire(cache.KeyToken(long, long))
				e.wantMiss("long")
			},
		},
		{
			name: "Regions/Contexts",
			rule: "The calls of Regions refuse a nil context with ErrNilContext and one that has ended with its error, and change nothing.",
			run: func(e *env) {
				r := as[cache.Regions](e)
				e.setUnder("k", shop)
				ended, cancel := context.WithCancel(e.ctx)
				cancel()
				for ctx, want := range map[context.Context]error{nil: cache.ErrNilContext, ended: context.Canceled} {
					_, err := r.Moment(ctx)
					e.wantErr("Moment", err, want)
					_, err = r.Unexpired(ctx, cache.Moment{1}, []cache.Token{shop})
					e.wantErr("Unexpired", err, want)
					e.wantErr("ExpireTokens", r.ExpireTokens(ctx, shop), want)
				}
				e.wantHit("k", "value of k")
			},
		},
		{
			name: "Regions/SliceIsNotKept",
			rule: "The slice of tokens is the caller's again when the call returned.",
			run: func(e *env) {
				tokens := []cache.Token{shop}
				e.setUnder("k", tokens...)
				tokens[0] = cache.RegionToken("x")
				e.expire(tokens...)
				e.wantHit("k", "value of k")
				e.expire(shop)
				e.wantMiss("k")
			},
		},
		{
			name:  "Regions/CountersHaveNone",
			rule:  "A counter with tokens is refused with ErrInvalidConfig.",
			needs: []need{counter},
			run: func(e *env) {
				_, err := as[cache.Counter](e).Increment(e.ctx, "n", 1, cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{shop}})
				e.wantErr("Increment", err, cache.ErrInvalidConfig)
				_, found, err := as[cache.Counter](e).Count(e.ctx, "n")
				e.must("Count", err)
				if found {
					e.errorf("Increment was refused and made a counter")
				}
			},
		},
		{
			name:  "Regions/ExpiredIsNoEntry",
			rule:  "An entry whose region expired is none to the calls that change entries, and a lease can be had of its key.",
			needs: []need{versioner, leaser},
			run: func(e *env) {
				v := as[cache.Versioner](e)
				versions := make(map[string]cache.Version)
				for _, key := range []string{"swapped", "added", "removed", "leased", "refreshed"} {
					e.setUnder(key, shopFruit)
					versions[key] = e.version(key)
				}
				e.expire(shop)
				_, err := v.CompareAndSet(e.ctx, "swapped", []byte("v"), versions["swapped"], cache.EntryOptions{TTL: time.Hour})
				e.wantErr("CompareAndSet", err, cache.ErrNoEntry)
				_, err = v.Add(e.ctx, "added", []byte("v"), cache.EntryOptions{TTL: time.Hour})
				e.must("Add", err)
				e.wantHit("added", "v")
				removed, err := v.RemoveVersion(e.ctx, "removed", versions["removed"])
				e.must("RemoveVersion", err)
				if removed {
					e.errorf("RemoveVersion says that it removed an entry whose region had expired")
				}
				e.must("fill", e.fill("leased", "filled", e.lease("leased")))
				e.wantHit("leased", "filled")
				e.refresh("refreshed")
				e.wantMiss("refreshed")
			},
		},
		{
			name:  "Regions/ExpiringDropsTheLock",
			rule:  "A lock does not keep an entry whose region expires: both are gone, as by Remove.",
			needs: []need{locker},
			run: func(e *env) {
				e.setUnder("k", shop)
				h := e.lock("k", time.Hour)
				e.setUnder("again", shop)
				other := e.lock("again", time.Hour)
				e.expire(shop)
				e.wantMiss("k")
				_, err := e.put("k", "v", h)
				e.wantErr("PutAndUnlock", err, cache.ErrNoEntry)
				_, _, err = e.tryLock("k", time.Hour)
				e.wantErr("GetAndLock", err, cache.ErrNoEntry)
				e.wantErr("Unlock", as[cache.Locker](e).Unlock(e.ctx, "again", other, 0), cache.ErrNoEntry)
				e.wantErr("ResetTTL", as[cache.Locker](e).ResetTTL(e.ctx, "again", time.Hour), cache.ErrNoEntry)
			},
		},
		{
			name:  "Regions/LockingKeepsTokens",
			rule:  "Locking an entry, unlocking it and giving it another TTL leave its tokens.",
			needs: []need{locker},
			run: func(e *env) {
				l := as[cache.Locker](e)
				e.setUnder("unlocked", shop)
				e.must("Unlock", l.Unlock(e.ctx, "unlocked", e.lock("unlocked", time.Hour), time.Hour))
				e.setUnder("reset", shop)
				e.must("ResetTTL", l.ResetTTL(e.ctx, "reset", time.Hour))
				e.wantHit("unlocked", "value of unlocked")
				e.expire(shop)
				e.wantMiss("unlocked")
				e.wantMiss("reset")
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, regions)
	}
	return out
}
