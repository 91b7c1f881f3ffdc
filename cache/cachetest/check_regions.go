package cachetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/larder-go/larder/cache"
)

// knowTokens has the cache know all tokens of steps, see env.know.
func (s *side) knowTokens(t *testing.T) {
	if !s.regions {
		return
	}
	key, all := stepKeys[0], step{tokens: []int{0, 1, 2, 3, 4}}
	err := s.c.Set(t.Context(), key, []byte("v"), cache.EntryOptions{Tokens: all.named()})
	_, found, getErr := s.c.Get(t.Context(), key)
	if err = errors.Join(err, getErr, s.c.Remove(t.Context(), key)); err != nil || !found {
		t.Fatalf("storing an entry with tokens, reading and removing it: %v, %v", found, err)
	}
}

// named returns the tokens of a step.
func (s step) named() []cache.Token {
	tokens := make([]cache.Token, len(s.tokens))
	for i, n := range s.tokens {
		tokens[i] = stepTokens[n]
	}
	return tokens
}

// takeRegions takes the steps that are calls of Regions.
func (s step) takeRegions(ctx context.Context, on *side, key string) string {
	r := find[cache.Regions](on)
	switch s.what {
	case expiresTokens:
		return errorName(r.ExpireTokens(ctx, s.named()...))
	case takesMoment:
		m, err := r.Moment(ctx)
		on.moments = append(on.moments, m)
		return errorName(err)
	case asksUnexpired:
		fresh, err := r.Unexpired(ctx, fromLast(on.moments, s.since), s.named())
		return fmt.Sprint(fresh, " ", errorName(err))
	default:
		if slices.Contains(s.named(), cache.RegionToken("")) {
			return "" // whether a bad token is noticed is not said
		}
		value, found, err := r.GetUnder(ctx, key, s.named())
		return found3(string(value), found, err)
	}
}
