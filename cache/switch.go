package cache

import (
	"context"
	"errors"
	"fmt"
)

type (
	disabledKey    struct{}
	transactionKey struct{}

	// markKey is in every context that has one of the others, so that a hit looks
	// for one key only, whatever these become.
	markKey struct{}
)

// Disabled returns a context under which the typed layer bypasses the cache:
// Get misses, GetOrCreateExclusive loads (callers that bypass share a load
// among themselves) and stores nothing, Set removes the entry.
func Disabled(ctx context.Context) context.Context { return mark(ctx, disabledKey{}) }

func isDisabled(ctx context.Context) bool { return ctx.Value(disabledKey{}) != nil }

// InTransaction returns a context for reads in a transaction of the source, which
// may see what nobody else must: under it a Loading with
// LoadingOptions.Transactional asks the source alone. To everything else it is a
// context like ctx.
func InTransaction(ctx context.Context) context.Context { return mark(ctx, transactionKey{}) }

func isInTransaction(ctx context.Context) bool { return ctx.Value(transactionKey{}) != nil }

func mark(ctx context.Context, key any) context.Context {
	return context.WithValue(context.WithValue(ctx, key, true), markKey{}, true)
}

func isMarked(ctx context.Context) bool { return ctx.Value(markKey{}) != nil }

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
