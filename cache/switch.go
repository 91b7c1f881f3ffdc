package cache

import (
	"context"
	"errors"
	"fmt"
)

type disabledKey struct{}

// Disabled returns a context under which the typed layer bypasses the cache:
// Get misses, GetOrCreateExclusive loads (callers that bypass share a load
// among themselves) and stores nothing, Set removes the entry.
func Disabled(ctx context.Context) context.Context {
	return context.WithValue(ctx, disabledKey{}, true)
}

func isDisabled(ctx context.Context) bool { return ctx.Value(disabledKey{}) != nil }

// SetEnabled turns caching on or off for everything typed on c, as
// Coordinator.SetEnabled does. It needs a cache with Coordinated and else
// returns errors.ErrUnsupported.
func SetEnabled(c Cache, on bool) error {
	co, err := coordinatorOf(c)
	if err == nil {
		co.SetEnabled(on)
	}
	return err
}

// coordination returns what makes loads safe from writes that do not go through
// the typed layer: both capabilities, or none.
func coordination(c Cache) (names Coordinated, leaser Leaser, ok bool) {
	names, coordinated := As[Coordinated](c)
	leaser, leases := As[Leaser](c)
	if !coordinated || !leases {
		return nil, nil, false
	}
	return names, leaser, true
}

func coordinatorOf(c Cache) (*Coordinator, error) {
	names, _, ok := coordination(c)
	if !ok || isNil(c) {
		return nil, fmt.Errorf("larder: the cache has no coordinator: %w", errors.ErrUnsupported)
	}
	co, _ := names.Coordinate("")
	return co, nil
}
