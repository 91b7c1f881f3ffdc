package cachetest

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
)

var (
	shop      = cache.RegionToken("shop")
	shopFruit = cache.KeyToken("shop", "fruit")
)

// regionCases check what expiring a token does to entries that are stored.
func regionCases() []testCase {
	out := []testCase{
		{
			name: "Regions/ExpiredIsAMiss",
			rule: "An entry is a miss once ExpireTokens of its token returned, whatever reads it.",
			run: func(e *env) {
				e.setUnder("k", shop)
				e.setLong("other", "v")
				e.wantHit("k", "value of k")
				e.expire(shop)
				for _, read := range e.reads() {
					if found, err := read.do("k"); found || err != nil {
						e.errorf("%s of an entry whose region expired = %v, %v, want a miss", read.name, found, err)
					}
				}
				e.wantHit("other", "v")
			},
		},
		{
			name: "Regions/Hierarchy",
			rule: "An entry depends on its token and on what that belongs to, and on no other: names are compared byte by byte.",
			run: func(e *env) {
				for _, expired := range hierarchy {
					for _, kept := range hierarchy {
						e.setUnder(kept.name, kept.token)
					}
					e.setLong("none", "v")
					e.expire(expired.token)
					for _, kept := range hierarchy {
						_, found := e.get(kept.name)
						if want := !belongs(kept.token, expired.token); found != want {
							e.errorf("an entry of %s, after %s expired: found %v, want %v", kept.name, expired.name, found, want)
						}
					}
					e.wantHit("none", "v")
				}
			},
		},
		{
			name: "Regions/AnyOfManyTokens",
			rule: "An entry with several tokens is gone when any of them expires.",
			run: func(e *env) {
				tokens := manyTokens(cache.MaxTokens)
				for _, t := range tokens {
					e.setUnder("k", tokens...)
					e.wantHit("k", "value of k")
					e.expire(t)
					e.wantMiss("k")
				}
				e.setUnder("k", tokens...)
				e.expire(cache.RegionToken("x"), tokens[3])
				e.wantMiss("k")
			},
		},
		{
			name: "Regions/SetAfterExpireIsLive",
			rule: "What is stored after a token expired is live until the next time, and what is gone never comes back.",
			run: func(e *env) {
				for i := range 3 {
					e.expire(shopFruit) // at first one that nobody has named
					e.setUnder("k", shopFruit)
					e.wantHit("k", "value of k")
					e.setUnder("gone"+strconv.Itoa(i), shop)
					e.expire(shop)
					for j := range i + 1 {
						e.wantMiss("gone" + strconv.Itoa(j))
					}
					e.wantMiss("k")
				}
			},
		},
		{
			name:  "Regions/SetMany",
			rule:  "Each item of a batch has its own tokens.",
			needs: []need{batcher},
			run: func(e *env) {
				items := []cache.Item{
					{Key: "a", Value: []byte("a"), Options: cache.EntryOptions{Tokens: []cache.Token{shopFruit}}},
					{Key: "b", Value: []byte("b"), Options: cache.EntryOptions{Tokens: []cache.Token{cache.KeyToken("shop", "bread")}}},
					{Key: "c", Value: []byte("c")},
				}
				e.must("SetMany", as[cache.Batcher](e).SetMany(e.ctx, items))
				e.expire(shopFruit)
				e.wantMiss("a")
				e.wantHit("b", "b")
				e.expire(shop)
				e.wantMiss("b")
				e.wantHit("c", "c")
			},
		},
		{
			name:  "Regions/Objects",
			rule:  "An object depends on its tokens as bytes do.",
			needs: []need{objects},
			run: func(e *env) {
				o := as[cache.Objects](e)
				e.must("SetObject", o.SetObject(e.ctx, "k", "object", cache.EntryOptions{Tokens: []cache.Token{shop}}))
				if got, found, err := o.GetObject(e.ctx, "k"); got != "object" || !found || err != nil {
					e.errorf("GetObject = %v, %v, %v, want the object", got, found, err)
				}
				e.expire(cache.GlobalToken())
				if got, found, err := o.GetObject(e.ctx, "k"); found || err != nil {
					e.errorf("GetObject after the token expired = %v, %v, %v, want a miss", got, found, err)
				}
			},
		},
		{
			name: "Regions/GetUnder",
			rule: "GetUnder is Get, whatever tokens it is given.",
			run: func(e *env) {
				e.setUnder("live", shop, cache.RegionToken("x"))
				e.setUnder("dead", cache.RegionToken("y"))
				e.setLong("free", "value of free")
				e.expire(cache.RegionToken("y"))
				for _, tokens := range [][]cache.Token{nil, {shop}, {shop, cache.RegionToken("x")}, {cache.RegionToken("y")}, {cache.GlobalToken(), shopFruit}} {
					for _, key := range []string{"live", "dead", "free", "absent"} {
						want, wantFound, _ := e.c.Get(e.ctx, key)
						got, found, err := as[cache.Regions](e).GetUnder(e.ctx, key, tokens)
						if string(got) != string(want) || found != wantFound || err != nil {
							e.errorf("GetUnder %s with %d tokens = %s, %v, %v, want what Get says: %s, %v",
								key, len(tokens), short(got), found, err, short(want), wantFound)
						}
					}
				}
			},
		},
		{
			name:  "Regions/ItemTellsItsTokens",
			rule:  "GetItem returns the entry's tokens, each once and without those that others belong to, and they belong to the caller.",
			needs: []need{versioner},
			run: func(e *env) {
				for _, tt := range []struct{ given, want []cache.Token }{
					{[]cache.Token{cache.GlobalToken()}, []cache.Token{cache.GlobalToken()}},
					{[]cache.Token{shop}, []cache.Token{shop}},
					{[]cache.Token{shopFruit, shop, cache.RegionToken("x"), shopFruit, cache.GlobalToken()}, []cache.Token{shopFruit, cache.RegionToken("x")}},
				} {
					e.setUnder("k", tt.given...)
					for range 2 {
						got := e.item("k").Tokens
						missing := slices.ContainsFunc(tt.want, func(t cache.Token) bool { return !slices.Contains(got, t) })
						if len(got) != len(tt.want) || missing {
							e.fatalf("GetItem tells the tokens %v of an entry with %v, want %v", got, tt.given, tt.want)
						}
						got[0] = cache.RegionToken("y")
					}
				}
				e.setLong("k", "v")
				if tokens := e.item("k").Tokens; len(tokens) != 0 {
					e.errorf("GetItem tells the tokens %v of an entry without any", tokens)
				}
			},
		},
		{
			name:  "Regions/ChangesTakeTokens",
			rule:  "What CompareAndSet, Add and PutAndUnlock store depends on the tokens that they were given, and not on those of what they replaced.",
			needs: []need{versioner, locker},
			run: func(e *env) {
				v, l := as[cache.Versioner](e), as[cache.Locker](e)
				opts := cache.EntryOptions{TTL: time.Hour, Tokens: []cache.Token{shop}}
				_, err := v.Add(e.ctx, "added", []byte("v"), opts)
				e.must("Add", err)
				e.setUnder("swapped", cache.RegionToken("x"))
				_, err = v.CompareAndSet(e.ctx, "swapped", []byte("v"), e.version("swapped"), opts)
				e.must("CompareAndSet", err)
				e.setUnder("put", cache.RegionToken("x"))
				_, err = l.PutAndUnlock(e.ctx, "put", []byte("v"), e.lock("put", time.Hour), opts)
				e.must("PutAndUnlock", err)
				e.expire(cache.RegionToken("x"))
				for _, key := range []string{"added", "swapped", "put"} {
					e.wantHit(key, "v")
				}
				e.expire(shop)
				for _, key := range []string{"added", "swapped", "put"} {
					e.wantMiss(key)
				}
			},
		},
	}
	for i := range out {
		out[i].needs = append(out[i].needs, regions)
	}
	return out
}

// hierarchy are tokens that belong to each other, and some that only look so.
var hierarchy = []struct {
	name  string
	token cache.Token
}{
	{"global", cache.GlobalToken()},
	{"shop", shop},
	{"shop/fruit", shopFruit},
	{"shop/bread", cache.KeyToken("shop", "bread")},
	{"shop/FRUIT", cache.KeyToken("shop", "FRUIT")},
	{"sho", cache.RegionToken("sho")},
	{"shopp", cache.RegionToken("shopp")},
	{"shop:fruit", cache.RegionToken("shop:fruit")},
	{"shop:/fruit", cache.KeyToken("shop:", "fruit")},
	{"*", cache.RegionToken("*")},
	{"*/*", cache.KeyToken("*", "*")},
	{"bytes", cache.KeyToken("shop\x00", "{fruit}\xff")},
}

func manyTokens(n int) []cache.Token {
	tokens := make([]cache.Token, n)
	for i := range tokens {
		tokens[i] = cache.KeyToken("region"+strconv.Itoa(i%3), "key"+strconv.Itoa(i))
	}
	return tokens
}

// know has the cache know tokens: of one that it never saw it may say that it
// expired at any time.
func (e *env) know(tokens ...cache.Token) {
	e.report.Helper()
	e.setUnder("known", tokens...)
	e.wantHit("known", "value of known")
	e.remove("known")
}

// setUnder stores an entry that depends on tokens.
func (e *env) setUnder(key string, tokens ...cache.Token) {
	e.report.Helper()
	e.set(key, "value of "+key, cache.EntryOptions{TTL: time.Hour, Tokens: tokens})
}

func (e *env) expire(tokens ...cache.Token) {
	e.report.Helper()
	e.must("ExpireTokens", as[cache.Regions](e).ExpireTokens(e.ctx, tokens...))
}

// read is one way to find out whether there is a value under a key.
type read struct {
	name string
	do   func(key string) (found bool, err error)
}

func (e *env) reads() []read {
	all := []read{
		{"Get", func(key string) (bool, error) { _, found, err := e.c.Get(e.ctx, key); return found, err }},
		{"GetUnder", func(key string) (bool, error) {
			_, found, err := as[cache.Regions](e).GetUnder(e.ctx, key, []cache.Token{shop})
			return found, err
		}},
	}
	if a, ok := cache.As[cache.Appender](e.c); ok {
		all = append(all, read{"AppendTo", func(key string) (bool, error) {
			_, found, err := a.AppendTo(e.ctx, nil, key)
			return found, err
		}})
	}
	if b, ok := cache.As[cache.Batcher](e.c); ok {
		all = append(all, read{"GetMany", func(key string) (bool, error) {
			results, err := b.GetMany(e.ctx, []string{"other", key})
			if err != nil || len(results) != 2 {
				return false, err
			}
			return results[1].Found, results[1].Err
		}})
	}
	if v, ok := cache.As[cache.Versioner](e.c); ok {
		all = append(all, read{"GetItem", func(key string) (bool, error) { _, found, err := v.GetItem(e.ctx, key); return found, err }},
			read{"GetIfNewer", func(key string) (bool, error) {
				_, _, found, err := v.GetIfNewer(e.ctx, key, cache.Version{1})
				return found, err
			}})
	}
	if p, ok := cache.As[cache.Peeker](e.c); ok {
		all = append(all, read{"Peek", func(key string) (bool, error) {
			value, reply, err := p.Peek(e.ctx, key)
			return value != nil || reply.State == cache.LeaseFound, err
		}})
	}
	return all
}

// unexpired asks the cache.
func (e *env) unexpired(ctx context.Context, since cache.Moment, tokens ...cache.Token) bool {
	e.report.Helper()
	fresh, err := as[cache.Regions](e).Unexpired(ctx, since, tokens)
	e.must("Unexpired", err)
	return fresh
}

func (e *env) moment() cache.Moment {
	e.report.Helper()
	m, err := as[cache.Regions](e).Moment(e.ctx)
	e.must("Moment", err)
	return m
}
