package cachetest

import (
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
)

// badOptions returns options that are refused, each for one reason.
func badOptions(e *env) []badOption {
	return []badOption{
		{"NegativeTTL", "TTL", cache.EntryOptions{TTL: -time.Second}, cache.ErrInvalidTTL},
		{"TTLOfMinusOneNanosecond", "TTL", cache.EntryOptions{TTL: -1}, cache.ErrInvalidTTL},
		{"NegativeSliding", "SlidingExpiration", cache.EntryOptions{SlidingExpiration: -time.Second}, cache.ErrInvalidTTL},
		{"NegativeSlidingBesideTTL", "SlidingExpiration",
			cache.EntryOptions{TTL: time.Hour, SlidingExpiration: -1}, cache.ErrInvalidTTL},
		{"PastAbsolute", "AbsoluteExpiration",
			cache.EntryOptions{AbsoluteExpiration: time.Now().Add(-time.Second)}, cache.ErrInvalidTTL},
		{"PresentAbsolute", "AbsoluteExpiration",
			cache.EntryOptions{AbsoluteExpiration: time.Now()}, cache.ErrInvalidTTL},
		{"PastAbsoluteBesideTTL", "AbsoluteExpiration",
			cache.EntryOptions{TTL: time.Hour, AbsoluteExpiration: time.Now().Add(-time.Hour)}, cache.ErrInvalidTTL},
		{"AbsoluteBesideNoExpiry", "AbsoluteExpiration",
			cache.EntryOptions{TTL: cache.NoExpiry, AbsoluteExpiration: time.Now().Add(time.Hour)}, cache.ErrInvalidTTL},
		{"SlidingOfNoExpiry", "SlidingExpiration",
			cache.EntryOptions{SlidingExpiration: cache.NoExpiry}, cache.ErrInvalidTTL},
		{"NegativeSize", "Size", cache.EntryOptions{Size: -1}, cache.ErrInvalidConfig},
		{"UnknownPriority", "Priority", cache.EntryOptions{Priority: 99}, cache.ErrInvalidConfig},
	}
}

type badOption struct {
	name  string
	field string
	opts  cache.EntryOptions
	want  error
}

// optionCases check that bad options are refused before anything happens.
func optionCases() []testCase {
	var out []testCase
	for i, b := range badOptions(nil) {
		out = append(out, testCase{
			name: "Options/" + b.name + "IsRefused",
			rule: "Bad options are refused before any effect, with an *OptionError that names the field and wraps its sentinel; the older entry lives on as it was.",
			run: func(e *env) {
				b := badOptions(e)[i] // once more, for times relative to the case's own
				old := e.setTTL("k", e.units(2))
				for _, store := range e.stores() {
					e.wantRefused(store.name, store.do("k", b.opts), b)
					e.wantRefused(store.name, store.do("absent", b.opts), b)
				}
				e.wantMiss("absent")
				e.aliveUntil(old.plus(e.units(2)), "k")
				e.goneAt(old.plus(e.units(2)), "k")
			},
		})
	}
	return out
}

func (e *env) wantRefused(what string, err error, b badOption) {
	e.report.Helper()
	e.wantErr(what, err, b.want)
	var oe *cache.OptionError
	if !errors.As(err, &oe) {
		e.errorf("%s = %v, want a *cache.OptionError in it", what, err)
	} else if oe.Option != "EntryOptions."+b.field {
		e.errorf("%s names option %s, want EntryOptions.%s", what, oe.Option, b.field)
	}
}

// store is one way to store an entry with options.
type store struct {
	name string
	do   func(key string, opts cache.EntryOptions) error
}

// stores returns every way that the cache offers.
func (e *env) stores() []store {
	all := []store{{"Set", func(key string, opts cache.EntryOptions) error {
		return e.c.Set(e.ctx, key, []byte("new"), opts)
	}}}
	if b, ok := cache.As[cache.Batcher](e.c); ok {
		all = append(all, store{"SetMany", func(key string, opts cache.EntryOptions) error {
			return b.SetMany(e.ctx, []cache.Item{{Key: key, Value: []byte("new"), Options: opts}})
		}})
	}
	if n, ok := cache.As[cache.Counter](e.c); ok {
		all = append(all, store{"Increment", func(key string, opts cache.EntryOptions) error {
			_, err := n.Increment(e.ctx, key, 1, opts)
			return err
		}})
	}
	if o, ok := cache.As[cache.Objects](e.c); ok {
		all = append(all, store{"SetObject", func(key string, opts cache.EntryOptions) error {
			return o.SetObject(e.ctx, key, "new", opts)
		}})
	}
	return all
}
