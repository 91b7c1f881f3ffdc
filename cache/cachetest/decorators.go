package cachetest

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// Watched returns c behind the plainest decorator of the kind that only
// watches: it has the four methods, and Unwrap. Whatever c can do must still
// be found through it, so a backend that passes [Run] passes it watched.
func Watched(c cache.Cache) cache.Cache { return watched{c} }

type watched struct{ cache.Cache }

func (w watched) Unwrap() cache.Cache { return w.Cache }

// Prefixed returns c behind a decorator of the kind that changes keys: it puts
// prefix before each, and has no Unwrap. It has all the capabilities of a cache
// like memory or distributed, and the four methods over any other. Its longest
// key is shorter by the prefix. It regards c as its own: Clear and Close are
// those of c, and so are its regions: tokens get no prefix.
func Prefixed(c cache.Cache, prefix string) cache.Cache { return newLayer(c, prefixHook(prefix)) }

type prefixHook string

// name leaves a bad key as it is, for the cache below to refuse.
func (p prefixHook) name(key string) string {
	if cache.CheckKey(key) != nil {
		return key
	}
	return string(p) + key
}

func (p prefixHook) call(ctx context.Context, _, key string, do func(context.Context, string) error) error {
	return do(ctx, key)
}
