package conformance

import (
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
)

const prefix = "tenant:7:"

// behindWatcher is cfg with an observing decorator around each cache.
func behindWatcher(cfg cachetest.Config) cachetest.Config {
	bare := cfg.New
	cfg.New = func(tb testing.TB) cache.Cache { return cachetest.Watched(bare(tb)) }
	return cfg
}

// behindPrefix is cfg with a transforming decorator around each cache.
func behindPrefix(cfg cachetest.Config) cachetest.Config {
	bare := cfg.New
	cfg.New = func(tb testing.TB) cache.Cache { return cachetest.Prefixed(bare(tb), prefix) }
	cfg.MaxKeyBytes = cache.MaxKeyLength - len(prefix)
	return cfg
}
