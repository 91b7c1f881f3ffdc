package cachetest

import (
	"context"

	"github.com/larder-go/larder/cache"
)

func agingSabotages() []sabotage {
	return []sabotage{
		{"drops objects that replace others", func(_ *Model, b *broken) {
			b.compareAndSetObject = func(context.Context, string, any, cache.Version, cache.EntryOptions) (cache.Version, error) {
				return cache.Version{1}, nil
			}
		}, []string{"Aging/StaleIsServedAndRefreshed"}},
		{"keeps objects for half of their time", func(m *Model, b *broken) {
			b.setObject = func(ctx context.Context, key string, value any, o cache.EntryOptions) error {
				o.TTL /= 2
				return m.SetObject(ctx, key, value, o)
			}
		}, []string{"Aging/ExpiredIsKeptForFailedLoads"}},
		{"replaces objects that are not there any more, untold by others", func(m *Model, b *broken) {
			other := cache.NewCoordinator(nil)
			b.coord = func(key string) (*cache.Coordinator, string) { return other, key }
			last := map[string]any{}
			b.getObjectItem = func(ctx context.Context, key string) (cache.Versioned[any], bool, error) {
				item, found, err := m.GetObjectItem(ctx, key)
				if found {
					last[key] = item.Value
				}
				return cache.Versioned[any]{Value: last[key], Version: cache.Version{1}}, last[key] != nil, err
			}
			b.compareAndSetObject = func(ctx context.Context, key string, value any, _ cache.Version, o cache.EntryOptions) (cache.Version, error) {
				return cache.Version{1}, m.SetObject(ctx, key, value, o)
			}
		}, []string{"Aging/SetDuringRefresh", "Aging/RemoveDuringRefresh", "Aging/ClearDuringRefresh", "Aging/EndWriteDuringRefresh"}},
	}
}
