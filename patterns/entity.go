package patterns

import (
	"slices"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/keys"
)

// Entity says how one type of entity is cached: declare it once, and hand it to
// every wrapper and query of that type. The zero value is ready to use, if K is a
// type that keys can name.
type Entity[K comparable, V any] struct {
	// AppendKey appends the key of an entity's entry to dst and returns the longer
	// slice; distinct ids need distinct keys. nil: the key of keys.For[V]("ByID"),
	// as in Product-ByID-42.
	AppendKey func(dst []byte, id K) []byte

	// Dependents returns the tokens of what shows an entity with this value: the
	// lists, searches and categories that are out of date when it comes, goes or
	// changes. A write expires those of the value from before and of the new one.
	// nil: nothing depends on entities of this type. It needs a cache with
	// cache.Regions, and a look at the source before each write.
	Dependents func(id K, v V) []cache.Token

	// Options returns how the entry of this value is kept: its lifetime, its own
	// tokens. nil: as Typed.Defaults says.
	Options func(id K, v V) cache.EntryOptions

	// ShouldCache reports whether this value is to be cached. nil: every value.
	ShouldCache func(id K, v V) bool

	// Intents note what the cache cannot be told before a write that goes ahead
	// all the same, so that it can be told by others if this process dies: see
	// patterns/intents. nil: nobody does. They need a repository with transactions
	// (Transactor), in which each write then is, and a cache with cache.WriteMarker;
	// a WriteBehind refuses them.
	Intents Intents

	// Typed configures the typed view of the cache: codec, defaults, and with
	// NegativeTTL how long it is remembered that the source has no such entity.
	Typed cache.TypedOptions[V]
}

// Key returns the key of an entity's entry, as a WriteBehind wants it. It panics if
// AppendKey is nil and keys cannot name a K.
func (e Entity[K, V]) Key(id K) string {
	if e.AppendKey != nil {
		return string(e.AppendKey(nil, id))
	}
	return string(appendByID[V](nil, id))
}

func appendByID[V, K any](dst []byte, id K) []byte {
	byID := keys.For[V]("ByID")
	if _, err := keys.TryWith(id); err != nil {
		return byID.Append(dst, keys.Value(id))
	}
	return byID.Append(dst, id)
}

// check returns what is wrong with e for a cache like c.
func (e Entity[K, V]) check(c cache.Cache) error {
	if c == nil {
		return refuse("cache", nil, "must not be nil")
	}
	if _, ok := cache.As[cache.Regions](c); e.Dependents != nil && !ok {
		return refuse("Entity.Dependents", "a function", "needs a cache with regions")
	}
	return nil
}

// options returns how the entry of v is kept, and whether it is.
func (e *Entity[K, V]) options(id K, v V) (opts cache.EntryOptions, keep bool) {
	if e.ShouldCache != nil && !e.ShouldCache(id, v) {
		return opts, false
	}
	if e.Options != nil {
		opts = e.Options(id, v)
	}
	return opts, true
}

// dependents returns the tokens of what shows v, each once after others.
func (e *Entity[K, V]) dependents(others []cache.Token, id K, v V) []cache.Token {
	for _, t := range e.Dependents(id, v) {
		if !slices.Contains(others, t) {
			others = append(others, t)
		}
	}
	return others
}

func refuse(option string, value any, reason string) error {
	return &cache.OptionError{Option: option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}

func appendToken(tokens []cache.Token, t cache.Token) []cache.Token {
	if slices.Contains(tokens, t) {
		return tokens
	}
	return append(tokens, t)
}
