package cachetest

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// brokenRegions is Regions, with each call replaceable.
type brokenRegions struct {
	track     func()
	moment    func(ctx context.Context) (cache.Moment, error)
	expire    func(ctx context.Context, tokens ...cache.Token) error
	unexpired func(ctx context.Context, since cache.Moment, tokens []cache.Token) (bool, error)
	getUnder  func(ctx context.Context, key string, tokens []cache.Token) ([]byte, bool, error)
}

func regionsOf(m *Model) brokenRegions {
	return brokenRegions{track: m.TrackRegions, moment: m.Moment, expire: m.ExpireTokens, unexpired: m.Unexpired, getUnder: m.GetUnder}
}

func (b brokenRegions) TrackRegions() { b.track() }

func (b brokenRegions) Moment(ctx context.Context) (cache.Moment, error) { return b.moment(ctx) }

func (b brokenRegions) ExpireTokens(ctx context.Context, tokens ...cache.Token) error {
	return b.expire(ctx, tokens...)
}

func (b brokenRegions) Unexpired(ctx context.Context, since cache.Moment, tokens []cache.Token) (bool, error) {
	return b.unexpired(ctx, since, tokens)
}

func (b brokenRegions) GetUnder(ctx context.Context, key string, tokens []cache.Token) ([]byte, bool, error) {
	return b.getUnder(ctx, key, tokens)
}
