package cache

import (
	"context"
	"errors"
	"slices"
)

// Token names a group of entries that are invalidated together, in one step,
// however many they are: everything, a region, or one key of a region. An entry
// that carries a token depends on all that the token belongs to: one of a region's
// key expires with the region, and one of a region with everything.
//
// Tokens are comparable values. Package region makes them; distinct names are
// distinct tokens. The zero Token is Global's.
type Token struct {
	region, key string
	level       tokenLevel
}

type tokenLevel uint8

const (
	levelGlobal tokenLevel = iota
	levelRegion
	levelKey
)

// GlobalToken returns the token that every other token belongs to.
func GlobalToken() Token { return Token{} }

// RegionToken returns the token of the region called name.
func RegionToken(name string) Token { return Token{region: name, level: levelRegion} }

// KeyToken returns the token of key in the region called name. Any key but the
// empty one is valid.
func KeyToken(name, key string) Token { return Token{region: name, key: key, level: levelKey} }

// Region returns the name of the token's region; ok is false for the global
// token.
func (t Token) Region() (name string, ok bool) { return t.region, t.level != levelGlobal }

// Key returns the key in the region; ok is false if the token is of a whole
// region or global.
func (t Token) Key() (key string, ok bool) { return t.key, t.level == levelKey }

// Parent returns the token that t belongs to: a region's for that of a key, and
// the global one for that of a region; ok is false for the global token.
func (t Token) Parent() (parent Token, ok bool) {
	if t.level == levelKey {
		return RegionToken(t.region), true
	}
	return Token{}, t.level == levelRegion
}

// expiresWith reports whether t expires when other does: other is t, or t
// belongs to it.
func (t Token) expiresWith(other Token) bool {
	switch other.level {
	case levelGlobal:
		return true
	case levelRegion:
		return t.level != levelGlobal && t.region == other.region
	default:
		return t == other
	}
}

// Check returns ErrInvalidToken if the token's region or key is empty or longer
// than MaxTokenLength.
func (t Token) Check() error {
	if t.level == levelGlobal {
		return nil
	}
	if t.region == "" || t.level == levelKey && t.key == "" || len(t.region) > MaxTokenLength || len(t.key) > MaxTokenLength {
		return ErrInvalidToken
	}
	return nil
}

// CheckTokens returns ErrInvalidToken if one of tokens is invalid.
func CheckTokens(tokens []Token) error {
	for _, t := range tokens {
		if err := t.Check(); err != nil {
			return err
		}
	}
	return nil
}

// joinTokens returns the tokens of a and b, each once. It changes neither slice,
// and may return one of them.
func joinTokens(a, b []Token) []Token {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	}
	joined := slices.Clip(a)
	for _, t := range b {
		if !slices.Contains(joined, t) {
			joined = append(joined, t)
		}
	}
	return joined
}

const (
	// MaxTokenLength is the longest name of a region, and the longest key in
	// one, in bytes.
	MaxTokenLength = 512

	// MaxTokens is how many tokens an entry may carry. One that is given twice
	// counts twice.
	MaxTokens = 16
)

// Moment is a point in the history of a cache's regions: what was expired before
// it, and what after. The zero Moment is none.
type Moment [16]byte

// Regions is the capability of a cache whose entries may carry tokens
// (EntryOptions.Tokens). Each token has a generation, which is never used twice;
// an entry carries those it was loaded under, and is a miss when one of them is
// no longer the current one. So expiring a region costs the same however large
// it is, and a generation that is lost turns entries into misses, never back.
//
// The interleaving it defends against: a load reads the source; the source is
// written and the region expired; the load stores what it read under the new
// generation. So a fill names the Moment before its load began, and is refused if
// one of its tokens expired since, whenever the loader named them, or if that is
// not known.
type Regions interface {
	// TrackRegions says that tokens will be used: from now on the cache's
	// LeaseReplies have a Moment. It sends nothing.
	TrackRegions()

	// Moment returns the point that the history has reached. At most one round
	// trip.
	Moment(ctx context.Context) (Moment, error)

	// ExpireTokens invalidates every entry that carries one of tokens: a Get
	// that starts after it returned misses, in every process, and so does a load
	// that began before it store nothing under them. Loads in flight in this
	// process that have named one of them are voided, with cause ErrInvalidated.
	// A lock on such an entry goes with it, as by Remove. There may be more than
	// MaxTokens of them. No tokens: nothing happens. Time and round trips do not depend on how many
	// entries there are.
	ExpireTokens(ctx context.Context, tokens ...Token) error

	// Unexpired reports whether none of tokens expired after since. A zero or
	// forgotten since is false, and so may be the answer if there is a token that
	// was never used before, or is forgotten: nobody knows when it expired. No
	// tokens: true, unless since is zero. At most one
	// round trip.
	Unexpired(ctx context.Context, since Moment, tokens []Token) (bool, error)

	// GetUnder is Get for an entry that is known to carry tokens: a remote cache
	// reads their generations in the same round trip as the entry. The result is
	// that of Get, whatever tokens are given.
	GetUnder(ctx context.Context, key string, tokens []Token) (value []byte, found bool, err error)
}

var (
	// ErrInvalidToken refuses a token whose region or key is empty or too long,
	// and more than MaxTokens.
	ErrInvalidToken = errors.New("larder: invalid region token")

	// ErrRegionExpired refuses a fill one of whose tokens expired since the load
	// began. Nothing was stored.
	ErrRegionExpired = errors.New("larder: region expired during load")
)
