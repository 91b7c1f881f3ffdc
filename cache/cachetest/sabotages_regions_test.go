package cachetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

// mapTokens changes the options of whatever is stored.
func mapTokens(f func(m *Model, o cache.EntryOptions) cache.EntryOptions) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
			return m.Set(ctx, key, value, f(m, o))
		}
		b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
			return m.SetObject(ctx, key, value, f(m, o))
		}
		b.setMany = func(ctx context.Context, items []cache.Item) error {
			items = slices.Clone(items)
			for i := range items {
				items[i].Options = f(m, items[i].Options)
			}
			return m.SetMany(ctx, items)
		}
		b.add = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (cache.Version, error) {
			return m.Add(ctx, key, value, f(m, o))
		}
		b.compareAndSet = func(ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
			return m.CompareAndSet(ctx, key, value, have, f(m, o))
		}
		b.putAndUnlock = func(ctx context.Context, key string, value []byte, h cache.LockHandle, o cache.EntryOptions) (cache.Version, error) {
			return m.PutAndUnlock(ctx, key, value, h, f(m, o))
		}
	}
}

// mapExpired changes the tokens that are expired.
func mapExpired(f func(tokens []cache.Token) []cache.Token) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.expire = func(ctx context.Context, tokens ...cache.Token) error { return m.ExpireTokens(ctx, f(tokens)...) }
	}
}

// mapEntries changes every entry that depends on one of tokens after they
// expired.
func mapEntries(f func(m *Model, key string, e *modelEntry)) func(*Model, *broken) {
	return func(m *Model, b *broken) {
		b.expire = func(ctx context.Context, tokens ...cache.Token) error {
			err := m.ExpireTokens(ctx, tokens...)
			m.mu.Lock()
			defer m.mu.Unlock()
			for key, e := range m.entries {
				f(m, key, e)
			}
			return err
		}
	}
}

func regionSabotages() []sabotage {
	return []sabotage{
		{"forgets tokens", mapTokens(func(_ *Model, o cache.EntryOptions) cache.EntryOptions { o.Tokens = nil; return o }), []string{
			"Regions/ExpiredIsAMiss", "Regions/Hierarchy", "Regions/AnyOfManyTokens", "Regions/SetAfterExpireIsLive", "Regions/SetMany", "Regions/Objects",
			"Regions/ItemTellsItsTokens", "Regions/ChangesTakeTokens", "Regions/SliceIsNotKept", "Regions/LockingKeepsTokens",
			"RegionLoad/StoredUnderItsTokens", "RegionLoad/TokensOfAll", "RegionLoad/Many",
		}},
		{"keeps the first token only", mapTokens(func(_ *Model, o cache.EntryOptions) cache.EntryOptions {
			o.Tokens = o.Tokens[:min(1, len(o.Tokens))]
			return o
		}), []string{"Regions/AnyOfManyTokens", "Regions/ItemTellsItsTokens"}},
		{"expires the first token only", mapExpired(func(t []cache.Token) []cache.Token { return t[:min(1, len(t))] }), []string{"Regions/AnyOfManyTokens"}},
		{"expires everything", mapExpired(func(t []cache.Token) []cache.Token { return append(t, cache.GlobalToken()) }), []string{
			"Regions/Hierarchy", "Regions/SetMany", "Regions/Unexpired", "Regions/BadTokens", "Regions/SliceIsNotKept", "RegionLoad/OthersGoOn", "RegionLoad/NestedInheritsNothing", "RegionLoad/Many",
		}},
		{"goes by upper case", mapExpired(func(tokens []cache.Token) []cache.Token {
			out := slices.Clone(tokens)
			for _, t := range tokens {
				if key, ok := t.Key(); ok {
					name, _ := t.Region()
					out = append(out, cache.KeyToken(name, strings.ToUpper(key)))
				}
			}
			return out
		}), []string{"Regions/Hierarchy"}},
		{"expires by prefix", func(m *Model, b *broken) {
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				var all []cache.Token
				for _, e := range m.entries {
					for _, t := range e.tokens {
						name, _ := t.Region()
						if first, ok := tokens[0].Region(); ok && strings.HasPrefix(name, first) {
							all = append(all, cache.RegionToken(name))
						}
					}
				}
				return m.ExpireTokens(ctx, append(tokens, all...)...)
			}
		}, []string{"Regions/Hierarchy"}},
		{"expires what is stored later", func(m *Model, b *broken) {
			expired := make(map[cache.Token]bool)
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				for _, t := range tokens {
					expired[t] = true
				}
				return m.ExpireTokens(ctx, tokens...)
			}
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				if slices.ContainsFunc(o.Tokens, func(t cache.Token) bool { return expired[t] }) {
					return nil
				}
				return m.Set(ctx, key, value, o)
			}
		}, []string{"Regions/SetAfterExpireIsLive"}},
		{"counts generations from zero", func(m *Model, b *broken) {
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				err := m.ExpireTokens(ctx, tokens...)
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.regions.count == 4 {
					m.regions.count = 0
					clear(m.regions.expired)
				}
				return err
			}
		}, []string{"Regions/SetAfterExpireIsLive"}},
		{"keeps the tokens of what it replaces", func(m *Model, b *broken) {
			b.compareAndSet = func(ctx context.Context, key string, value []byte, have cache.Version, o cache.EntryOptions) (cache.Version, error) {
				if e := m.entries[key]; e != nil {
					o.Tokens = append(slices.Clone(o.Tokens), e.tokens...)
				}
				return m.CompareAndSet(ctx, key, value, have, o)
			}
		}, []string{"Regions/ChangesTakeTokens"}},
		{"keeps the slice of tokens", func(m *Model, b *broken) {
			b.set = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) error {
				err := m.Set(ctx, key, value, o)
				m.peek(key, func(e *modelEntry) { e.tokens = o.Tokens })
				return err
			}
		}, []string{"Regions/SliceIsNotKept", "Regions/ItemTellsItsTokens"}},
		{"gives its tokens away", func(m *Model, b *broken) {
			b.getItem = func(ctx context.Context, key string) (cache.VersionedItem, bool, error) {
				item, found, err := m.GetItem(ctx, key)
				m.peek(key, func(e *modelEntry) { item.Tokens = e.tokens })
				return item, found, err
			}
		}, []string{"Regions/ItemTellsItsTokens"}},
		{"finds nothing under tokens", func(m *Model, b *broken) {
			b.getUnder = func(ctx context.Context, key string, tokens []cache.Token) ([]byte, bool, error) {
				value, found, err := m.Get(ctx, key)
				if item, _, _ := m.GetItem(ctx, key); len(item.Tokens) != len(tokens) {
					return nil, false, err
				}
				return value, found, err
			}
		}, []string{"Regions/GetUnder"}},
		{"reads counters past their tokens", func(m *Model, b *broken) {
			b.increment = func(ctx context.Context, key string, delta int64, o cache.EntryOptions) (int64, error) {
				o.Tokens = nil
				return m.Increment(ctx, key, delta, o)
			}
		}, []string{"Regions/CountersHaveNone"}},
		{"takes any token", func(m *Model, b *broken) {
			mapTokens(func(_ *Model, o cache.EntryOptions) cache.EntryOptions { o.Tokens = nil; return o })(m, b)
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				if err := m.ExpireTokens(ctx, tokens...); !errors.Is(err, cache.ErrInvalidToken) {
					return err
				}
				return nil
			}
		}, []string{"Regions/BadTokens", "RegionLoad/BadTokens"}},
		{"does not look at the context of regions", func(m *Model, b *broken) {
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				return m.ExpireTokens(context.WithoutCancel(orBackground(ctx)), tokens...)
			}
			b.moment = func(ctx context.Context) (cache.Moment, error) { return m.Moment(context.Background()) }
		}, []string{"Regions/Contexts"}},
	}
}

func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

func stampSabotages() []sabotage {
	return []sabotage{
		{"stamps fills with the current generation", mapTokens(func(_ *Model, o cache.EntryOptions) cache.EntryOptions {
			o.Since = cache.Moment{}
			return o
		}), []string{
			"Regions/SinceRefusesTheFill", "Regions/LeaseBringsTheMoment", "RegionLoad/SetAfterExpiring",
		}},
		{"asks nothing and stamps fills with the current generation", func(m *Model, b *broken) {
			mapTokens(func(_ *Model, o cache.EntryOptions) cache.EntryOptions { o.Since = cache.Moment{}; return o })(m, b)
			b.unexpired = func(context.Context, cache.Moment, []cache.Token) (bool, error) { return true, nil }
		}, []string{"RegionLoad/NamedAfterExpiring", "RegionLoad/NotStored"}},
		{"takes every Moment for the last one", mapTokens(func(m *Model, o cache.EntryOptions) cache.EntryOptions {
			if o.Since != (cache.Moment{}) {
				o.Since, _ = m.Moment(context.Background())
			}
			return o
		}), []string{"Regions/SinceRefusesTheFill", "Regions/LeaseBringsTheMoment"}},
		{"refuses every fill with tokens", mapTokens(func(_ *Model, o cache.EntryOptions) cache.EntryOptions {
			if o.Since != (cache.Moment{}) && len(o.Tokens) > 0 {
				o.Since = cache.Moment{1}
			}
			return o
		}), []string{"Regions/SinceRefusesTheFill", "Regions/LeaseBringsTheMoment", "RegionLoad/StoredUnderItsTokens", "RegionLoad/OthersGoOn", "RegionLoad/TokensOfAll", "RegionLoad/Many"}},
		{"has no Moment for a lease", mapLease(func(_ *Model, _ string, r cache.LeaseReply) cache.LeaseReply {
			r.Moment = cache.Moment{}
			return r
		}), []string{"Regions/LeaseBringsTheMoment", "RegionLoad/StoredUnderItsTokens"}},
		{"knows nothing of what expired", func(m *Model, b *broken) {
			b.unexpired = func(context.Context, cache.Moment, []cache.Token) (bool, error) { return true, nil }
		}, []string{"Regions/Unexpired", "Regions/BadTokens", "Regions/Contexts", "RegionLoad/NotStored"}},
		{"says that everything expired", func(m *Model, b *broken) {
			b.unexpired = func(context.Context, cache.Moment, []cache.Token) (bool, error) { return false, nil }
		}, []string{"Regions/Unexpired", "RegionLoad/StoredUnderItsTokens"}},
		{"does not end loads by token", func(m *Model, b *broken) {
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				of := m.coordinator
				m.coordinator = cache.NewCoordinator(nil)
				defer func() { m.coordinator = of }()
				return m.ExpireTokens(ctx, tokens...)
			}
		}, []string{"RegionLoad/ExpiredAfterNaming", "RegionLoad/RegionOfTheKeyExpired"}},
		{"ends every load by token", func(m *Model, b *broken) {
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				err := m.ExpireTokens(ctx, tokens...)
				m.coordinator.InvalidateAll()
				return err
			}
		}, []string{"RegionLoad/OthersGoOn"}},
		{"lets locks keep dead entries", func(m *Model, b *broken) {
			b.expire = func(ctx context.Context, tokens ...cache.Token) error {
				m.mu.Lock()
				for key, e := range m.entries {
					if m.lockedLocked(key) {
						e.tokens = nil
					}
				}
				m.mu.Unlock()
				return m.ExpireTokens(ctx, tokens...)
			}
		}, []string{"Regions/ExpiringDropsTheLock"}},
		{"leaves the locks of dead entries", mapEntries(func(m *Model, key string, e *modelEntry) {
			if m.expiredAfterLocked(e.stamped, e.tokens) {
				delete(m.entries, key)
			}
		}), []string{"Regions/ExpiringDropsTheLock"}},
		{"forgets tokens when it unlocks", func(m *Model, b *broken) {
			b.resetTTL = func(ctx context.Context, key string, ttl time.Duration) error {
				m.peek(key, func(e *modelEntry) { e.tokens = nil })
				return m.ResetTTL(ctx, key, ttl)
			}
		}, []string{"Regions/LockingKeepsTokens"}},
		{"finds dead entries when it changes them", func(m *Model, b *broken) {
			b.add = func(ctx context.Context, key string, value []byte, o cache.EntryOptions) (cache.Version, error) {
				if m.entries[key] != nil {
					return cache.Version{}, cache.ErrExists
				}
				return m.Add(ctx, key, value, o)
			}
		}, []string{"Regions/ExpiredIsNoEntry"}},
	}
}
