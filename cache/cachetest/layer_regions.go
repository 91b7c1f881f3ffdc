package cachetest

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// regionLayer leaves tokens as they are: regions are those of the cache below.
type regionLayer layer

func (l *regionLayer) TrackRegions() { l.regions.TrackRegions() }

func (l *regionLayer) Moment(ctx context.Context) (m cache.Moment, err error) {
	err = l.hook.call(ctx, "moment", "", func(ctx context.Context, _ string) error {
		m, err = l.regions.Moment(ctx)
		return err
	})
	if err != nil {
		return cache.Moment{}, err
	}
	return m, nil
}

func (l *regionLayer) ExpireTokens(ctx context.Context, tokens ...cache.Token) error {
	return l.hook.call(ctx, "expire_tokens", "", func(ctx context.Context, _ string) error {
		return l.regions.ExpireTokens(ctx, tokens...)
	})
}

func (l *regionLayer) Unexpired(ctx context.Context, since cache.Moment, tokens []cache.Token) (fresh bool, err error) {
	err = l.hook.call(ctx, "unexpired", "", func(ctx context.Context, _ string) error {
		fresh, err = l.regions.Unexpired(ctx, since, tokens)
		return err
	})
	return fresh && err == nil, err
}

func (l *regionLayer) GetUnder(ctx context.Context, key string, tokens []cache.Token) (value []byte, found bool, err error) {
	err = l.hook.call(ctx, "get_under", l.hook.name(key), func(ctx context.Context, key string) error {
		value, found, err = l.regions.GetUnder(ctx, key, tokens)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return value, found, nil
}
