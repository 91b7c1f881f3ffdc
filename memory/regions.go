package memory

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// TrackRegions does nothing: a memory cache always tracks them. See
// cache.Regions.
func (c *Cache) TrackRegions() {}

// Moment returns the point that the history of regions has reached. It takes no
// lock. See cache.Regions.
func (c *Cache) Moment(ctx context.Context) (cache.Moment, error) {
	if err := c.checkContext(ctx); err != nil {
		return cache.Moment{}, err
	}
	return c.regions.moment(), nil
}

// ExpireTokens makes every entry that depends on one of tokens a miss, locked or
// not. It takes as long as it takes to find the tokens, however many entries
// there are. See cache.Regions, and the package's documentation for when their
// memory is reclaimed.
func (c *Cache) ExpireTokens(ctx context.Context, tokens ...cache.Token) error {
	if err := c.checkTokens(ctx, tokens); err != nil {
		return opError("expire_tokens", "", err)
	}
	if len(tokens) == 0 {
		return nil
	}
	c.coordinator.InvalidateTokens(tokens)
	c.regions.expire(tokens)
	c.coordinator.InvalidateTokens(tokens)
	return nil
}

// Unexpired reports whether none of tokens expired after since. See
// cache.Regions.
func (c *Cache) Unexpired(ctx context.Context, since cache.Moment, tokens []cache.Token) (bool, error) {
	if err := c.checkTokens(ctx, tokens); err != nil {
		return false, opError("unexpired", "", err)
	}
	return c.regions.unexpired(since, tokens), nil
}

// GetUnder is Get: an entry knows its generations. See cache.Regions.
func (c *Cache) GetUnder(ctx context.Context, key string, _ []cache.Token) ([]byte, bool, error) {
	return c.Get(ctx, key)
}

func (c *Cache) checkTokens(ctx context.Context, tokens []cache.Token) error {
	if err := c.checkContext(ctx); err != nil {
		return err
	}
	return cache.CheckTokens(tokens)
}
