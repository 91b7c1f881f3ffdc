package stress_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/region"
)

// The keys are of three kinds, one after the other.
const (
	plainKeys    = 64 // a write removes the key, or marks it
	quietKeys    = 32 // only quiet writers write them
	regionalKeys = 48 // most writes expire tokens that their entries carry
	keyCount     = plainKeys + quietKeys + regionalKeys

	hotKeys = 4 // the first plain and the first regional ones, which get a quarter of all calls each
)

func isQuiet(id int) bool    { return id >= plainKeys && id < plainKeys+quietKeys }
func isRegional(id int) bool { return id >= plainKeys+quietKeys }

// isDeclared reports whether the key's entries carry common, from
// TypedOptions.Defaults.
func isDeclared(id int) bool { return isRegional(id) && carried[id-plainKeys-quietKeys].common }

func kindOf(id int) string {
	switch {
	case isRegional(id):
		return "regional"
	case isQuiet(id):
		return "quiet"
	}
	return "plain"
}

// carries are the tokens of one key's entries: of a key in a shelf, which two
// keys share, and of an aisle. early is what the loader names before it looks at
// the source, and late what it names afterwards.
type carries struct {
	slot, aisle cache.Token
	early, late []cache.Token
	common      bool
}

var (
	common  = region.Of[item](nil).Token()
	carried = func() (all [regionalKeys]carries) {
		var names *region.Registry // tokens are the same in every process
		for n := range all {
			c := &all[n]
			c.slot = names.Named(fmt.Sprint("shelf", n%6)).TokenForKey(fmt.Sprint(n / 12))
			c.aisle = names.Named(fmt.Sprint("aisle", n%4)).Token()
			c.common = n%5 < 2
			both := []cache.Token{c.slot, c.aisle}
			early := n % 3 // how many
			c.early, c.late = both[:early:early], both[early:]
		}
		return all
	}()
)

// tokensOf returns what the loader of a key names, before it looks at the source
// and afterwards.
func tokensOf(id int) (early, late []cache.Token) {
	if !isRegional(id) {
		return nil, nil
	}
	c := &carried[id-plainKeys-quietKeys]
	return c.early, c.late
}

// membersOf returns the keys whose entries carry one of tokens, or one that
// belongs to it.
func membersOf(tokens []cache.Token) (ids []int) {
	for n := range carried {
		c := &carried[n]
		shelf, _ := c.slot.Parent()
		on := []cache.Token{c.slot, shelf, c.aisle, cache.GlobalToken()}
		if c.common {
			on = append(on, common)
		}
		if slices.ContainsFunc(tokens, func(t cache.Token) bool { return slices.Contains(on, t) }) {
			ids = append(ids, plainKeys+quietKeys+n)
		}
	}
	return ids
}

// pickTokens returns what to expire after a write of a regional key: keys of
// shelves, shelves or aisles, or now and then all that there is; and which of
// these it is.
func pickTokens(rng *rand.Rand, id int) ([]cache.Token, count) {
	c := &carried[id-plainKeys-quietKeys]
	another := &carried[rng.IntN(regionalKeys)]
	shelf, _ := c.slot.Parent()
	roll := rng.IntN(32)
	switch {
	case roll == 0 && c.common:
		return []cache.Token{common}, ofAll
	case roll == 0:
		return []cache.Token{cache.GlobalToken()}, ofAll
	case roll < 12:
		return []cache.Token{c.slot}, ofKeys
	case roll < 16:
		return []cache.Token{c.slot, another.slot}, ofKeys
	case roll < 23:
		return []cache.Token{shelf}, ofRegions
	case roll < 30:
		return []cache.Token{c.aisle}, ofRegions
	}
	return []cache.Token{shelf, another.aisle}, ofRegions
}

// pick returns a key, every other time a hot one.
func pick(rng *rand.Rand) int {
	switch rng.IntN(4) {
	case 0:
		return rng.IntN(hotKeys)
	case 1:
		return plainKeys + quietKeys + rng.IntN(hotKeys)
	}
	return rng.IntN(keyCount)
}
