package memory

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/larder-go/larder/cache"
)

// The registry stays bounded however many tokens are used once, or expired
// without having been used.
func TestRegistryForgetsTokensThatNobodyUses(t *testing.T) {
	r := newRegions()
	kept := r.stamp([]cache.Token{cache.RegionToken("kept")}, cache.Moment{})
	start := r.moment()
	for i := range 8 * remembered {
		token := []cache.Token{cache.KeyToken("r", strconv.Itoa(i))}
		r.stamp(token, cache.Moment{})
		if i%2 == 0 {
			r.expire(token)
		}
		if i%(remembered/4) == 0 {
			runtime.GC()
		}
	}
	if n := r.records.countLocked(); n > 3*remembered {
		t.Errorf("%d records after %d tokens, want at most %d", n, 8*remembered, 3*remembered)
	}
	if r.forgot == 0 {
		t.Error("nothing that had expired was forgotten")
	}
	if kept.expired() || r.stamp([]cache.Token{cache.RegionToken("kept")}, cache.Moment{}) != kept {
		t.Error("the generation of an entry that lives was lost")
	}
	if !r.unexpired(start, []cache.Token{cache.RegionToken("kept")}) {
		t.Error("a token that is in use is taken for expired")
	}
	runtime.KeepAlive(kept)
}

// To forget may refuse a fill, never accept one.
func TestForgettingAcceptsNoFill(t *testing.T) {
	r := newRegions()
	token := []cache.Token{cache.KeyToken("r", "1")}
	before := r.moment()
	r.expire(token)
	for i := 0; r.records.find(&token[0]) != nil; i++ {
		r.expire([]cache.Token{cache.KeyToken("other", strconv.Itoa(i))})
	}
	for _, tokens := range [][]cache.Token{token, {cache.RegionToken("never used")}} {
		if r.stamp(tokens, before) != nil || r.unexpired(before, tokens) {
			t.Errorf("%v: a fill from before a forgotten expiration was accepted", tokens)
		}
	}
	if now := r.moment(); r.stamp(token, now) == nil || !r.unexpired(now, token) {
		t.Error("a fill from now was refused")
	}
}

// An expired generation stays so: another takes its place, and a stamp that was
// shared is not shared any more.
func TestGenerationsAreNotReused(t *testing.T) {
	r := newRegions()
	key, region := cache.KeyToken("r", "1"), cache.RegionToken("r")
	one := r.stamp([]cache.Token{key}, cache.Moment{})
	if r.stamp([]cache.Token{key}, cache.Moment{}) != one {
		t.Error("entries with one token do not share a stamp")
	}
	for _, expired := range []cache.Token{region, cache.GlobalToken(), key} {
		old := r.stamp([]cache.Token{key}, cache.Moment{})
		r.expire([]cache.Token{expired})
		next := r.stamp([]cache.Token{key}, cache.Moment{})
		if !old.expired() || next.expired() || next == old {
			t.Errorf("after %v expired: old expired %v, next expired %v", expired, old.expired(), next.expired())
		}
	}
}

// What is found without a lock is what was current when the call began, or later:
// while the table grows, tokens are forgotten, and generations are collected.
func TestStampsAreCurrentWhileTheRegistryChanges(t *testing.T) {
	r := newRegions()
	var done atomic.Bool
	var others sync.WaitGroup
	others.Go(func() {
		for i := 0; !done.Load(); i++ {
			token := []cache.Token{cache.KeyToken("many", strconv.Itoa(i))}
			r.stamp(token, cache.Moment{})
			r.expire(token)
			if i%4096 == 0 {
				runtime.GC()
			}
		}
	})
	for g := range 3 {
		others.Go(func() {
			shared := cache.RegionToken("r")
			token := cache.KeyToken("r", strconv.Itoa(g))
			for i := range 5000 {
				tokens := []cache.Token{token, shared}[:1+i%2]
				before := r.moment()
				old := r.stamp(tokens, cache.Moment{})
				r.expire([]cache.Token{[]cache.Token{token, shared, cache.GlobalToken()}[i%3]})
				if !old.expired() {
					t.Error("an expired stamp stands")
				}
				if r.stamp(tokens, before) != nil || r.unexpired(before, tokens) {
					t.Error("a fill from before an expiration was accepted")
				}
				if next := r.stamp(tokens, cache.Moment{}); next == old || next.generations[0] == old.generations[0] && i%3 == 0 {
					t.Error("an expired generation came back")
				}
			}
			if g == 0 {
				done.Store(true)
			}
		})
	}
	others.Wait()
	done.Store(true)
}

func BenchmarkExpireTokenOfManyKeys(b *testing.B) {
	r := newRegions()
	var kept []*stamp
	for i := range 1_000_000 {
		kept = append(kept, r.stamp([]cache.Token{cache.KeyToken("r", strconv.Itoa(i))}, cache.Moment{}))
	}
	i := 0
	for b.Loop() {
		r.expire([]cache.Token{cache.KeyToken("s", strconv.Itoa(i))})
		i++
	}
	runtime.KeepAlive(kept)
}
