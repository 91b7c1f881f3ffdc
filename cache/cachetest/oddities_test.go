package cachetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// What the contract does not forbid must pass: the suite checks promises, not
// one implementation's habits.
func TestLegalOdditiesPass(t *testing.T) {
	Run(t, Config{New: func(testing.TB) cache.Cache { return newBroken(oddities) }})
}

func oddities(m *Model, b *broken) {
	wrap := func(op, key string, err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("odd: %w", &cache.OpError{Op: op, Key: key, Err: err})
	}
	b.get = func(ctx context.Context, key string) ([]byte, bool, error) {
		value, found, err := m.Get(ctx, key)
		if found {
			return append(make([]byte, 0, 4096), value...), true, nil // more room than needed
		}
		return nil, false, wrap("get", key, err)
	}
	b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
		return wrap("set", key, m.Set(ctx, key, value, o))
	}
	b.refresh = func(ctx context.Context, key string) error { return wrap("refresh", key, m.Refresh(ctx, key)) }
	b.remove = func(ctx context.Context, key string) error { return wrap("remove", key, m.Remove(ctx, key)) }
	b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
		n, err := m.Increment(ctx, key, delta, o)
		return n, wrap("increment", key, err)
	}
	b.getMany = func(ctx context.Context, keys []string) ([]cache.Result, error) {
		results, err := m.GetMany(ctx, keys)
		for i := range results {
			results[i].Err = wrap("get_many", keys[i], results[i].Err)
		}
		if len(keys) == 0 && err == nil {
			results = nil // no results may be nil or empty
		}
		return results, err
	}
	b.lease = func(ctx context.Context, key string, ttl time.Duration) (cache.LeaseReply, error) {
		reply, err := m.Lease(ctx, key, ttl)
		if reply.State == cache.LeaseFound {
			reply.Lease = cache.Lease{9} // means nothing in this state
		}
		return reply, wrap("lease", key, err)
	}
	b.appendTo = func(ctx context.Context, dst []byte, key string) ([]byte, bool, error) {
		value, found, err := m.AppendTo(ctx, dst, key)
		if found {
			value = append(make([]byte, 0, 2*len(value)+1), value...) // never in dst's memory
		}
		return value, found, wrap("append_to", key, err)
	}
	b.stats = func() cache.Stats {
		s := m.Stats()
		return cache.Stats{Hits: s.Hits + 100, Misses: s.Misses + 7} // keeps little, and did not start at 0
	}
}

func TestFourMethodsAreACache(t *testing.T) {
	cfg := Config{New: func(testing.TB) cache.Cache { return fourMethods{NewModel(cache.EntryOptions{})} }}
	Run(t, cfg)
	skipped := 0
	for _, tc := range cases() {
		if skip := tc.execute(t, cfg.withDefaults(t), t); skip != "" {
			skipped++
			if len(tc.needs) == 0 && tc.applies == nil {
				t.Errorf("%s was skipped, though it needs nothing: %s", tc.name, skip)
			}
		} else if len(tc.needs) > 0 {
			t.Errorf("%s ran on a cache that has no %s", tc.name, tc.needs[0].name)
		}
	}
	if skipped == 0 {
		t.Error("no case was skipped on a cache without capabilities")
	}
}

func TestDefaultsOfTheCacheAreRespected(t *testing.T) {
	Run(t, Config{
		New: func(testing.TB) cache.Cache {
			return NewModel(cache.EntryOptions{TTL: 20 * time.Minute})
		},
		DefaultTTL: 20 * time.Minute,
	})
}
