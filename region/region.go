// Package region invalidates groups of entries in one step, however large they
// are: all that was loaded from one table, all products of one category.
//
// An entry names the regions it depends on while it is loaded (Entry.AddToken),
// or when it is stored (EntryOptions.Tokens). A region has keys of its own: an
// entry that depends on key 7 of a region expires with that key, with the region,
// and with everything. An entry may depend on several.
//
// It is like the cancellable regions of VirtoCommerce, and like tags in other
// caches, in what it is for. It is unlike them in how it works: nobody keeps a
// list of members, so expiring costs the same whether a region has one entry or a
// million; a load that began before the expiration is not stored after it,
// whenever it names its regions; and expiring reaches every process that shares
// the cache before it returns. Names are case-sensitive, which VirtoCommerce's are
// not. A loader that calls another passes no tokens on: each entry depends on what
// its own loader named.
//
// It needs a cache with the capability cache.Regions, and imports no backend.
package region

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/larder-go/larder/cache"
)

// Registry makes the regions of one cache. It holds no state but the cache: two
// registries of one cache, or of caches of several processes that share their
// entries, have the same regions under the same names. It is safe for concurrent
// use.
type Registry struct{ cache cache.Regions }

// New returns the registry of c, which from now on tracks regions: make it before
// the first load that names tokens. A cache without regions is
// errors.ErrUnsupported, a nil one cache.ErrInvalidConfig. It sends nothing.
func New(c cache.Cache) (*Registry, error) {
	if v := reflect.ValueOf(c); c == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, &cache.OptionError{Option: "cache", Reason: "must not be nil", Err: cache.ErrInvalidConfig}
	}
	regions, ok := cache.As[cache.Regions](c)
	if !ok {
		return nil, fmt.Errorf("larder: the cache has no regions: %w", errors.ErrUnsupported)
	}
	regions.TrackRegions()
	return &Registry{regions}, nil
}

// Named returns the region called name. Any text of at most MaxName bytes but
// the empty one is a name, upper and lower case are distinct, and no name is that
// of a typed region. Of another name the tokens are invalid: using them is
// cache.ErrInvalidToken.
func (r *Registry) Named(name string) Region {
	if name == "" {
		return Region{r, cache.RegionToken("")}
	}
	return Region{r, cache.RegionToken(namedPrefix + name)}
}

// Global returns the region that every entry with a token belongs to. It has no
// keys: those are invalid tokens.
func (r *Registry) Global() Region { return Region{r, cache.GlobalToken()} }

// Expire expires tokens of any regions at once, in as many round trips as one
// takes: see Region.Expire. After a product has moved, say: the lists of both
// categories, and the product itself.
func (r *Registry) Expire(ctx context.Context, tokens ...cache.Token) error {
	switch {
	case r == nil || r.cache == nil:
		return &cache.OptionError{Option: "Registry", Reason: "must not be nil", Err: cache.ErrInvalidConfig}
	case ctx == nil:
		return cache.ErrNilContext
	}
	return r.cache.ExpireTokens(ctx, tokens...)
}

// Of returns the region of the values of type T. Its name is T's with the paths of
// its package and of those of its type arguments, so types of different packages,
// and different instances of one generic type, have regions of their own. A
// pointer's region is that of what it points to. Types that are declared in
// functions of one package under one name share a region, and so expire together.
func Of[T any](r *Registry) Region {
	return Region{r, cache.RegionToken(typedPrefix + fitting(nameOf[T]()))}
}

// Named and typed regions are kept apart by what their names begin with.
const (
	namedPrefix = "name:"
	typedPrefix = "type:"
)

// MaxName is the longest name of a named region, in bytes.
const MaxName = cache.MaxTokenLength - len(namedPrefix)

// Region is a group of entries that expire together. Regions are comparable
// values and cost nothing to make. The zero Region's token is the global one, and
// it cannot be expired.
type Region struct {
	registry *Registry
	token    cache.Token
}

// Token returns what an entry must name to depend on the whole region.
func (r Region) Token() cache.Token { return r.token }

// TokenForKey returns what an entry must name to depend on key in the region, and
// so on the region as well. Keys are case-sensitive; an empty one, or one longer
// than cache.MaxTokenLength, makes an invalid token.
func (r Region) TokenForKey(key string) cache.Token {
	name, _ := r.token.Region() // none if global: an invalid token
	return cache.KeyToken(name, key)
}

// Expire invalidates every entry that depends on the region or a key of it. A
// read that starts after it returned, in any process, gets nothing from before,
// and neither does a load that began before it store anything; loads in this
// process that have named the region are cancelled. At most one round trip and
// no allocation that grows with the region. cache.ErrInvalidToken refuses a region
// with a bad name, cache.ErrInvalidConfig one without a registry;
// cache.ErrOutcomeUnknown means that it may not have happened, and expiring again
// does no harm.
func (r Region) Expire(ctx context.Context) error { return r.registry.Expire(ctx, r.token) }

// ExpireKey is Expire for the entries that depend on key in the region, whether
// or not this process ever named it. Others of the region stay.
func (r Region) ExpireKey(ctx context.Context, key string) error {
	return r.registry.Expire(ctx, r.TokenForKey(key))
}
