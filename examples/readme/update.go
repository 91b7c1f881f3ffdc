package main

import (
	"context"

	"github.com/larder-go/larder/cache"
)

// sell shows both models of concurrency. From here on it is in the README.
func sell(ctx context.Context, stock *cache.Typed[int], row Row) error {
	// Optimistic: computed again if somebody else has written meanwhile.
	_, err := stock.Update(ctx, "radio", func(left int, found bool) (int, error) {
		return left - 1, nil
	}, cache.UpdateOptions{})
	if err != nil {
		return err
	}
	// Pessimistic: under a lock, whose token goes with what is written elsewhere.
	_, err = stock.UpdateLocked(ctx, "radio", func(ctx context.Context, left int, found bool, fence uint64) (int, error) {
		return left - 1, row.Write(ctx, left-1, fence) // UPDATE ... SET fence = :fence WHERE id = :id AND fence <= :fence
	}, cache.UpdateOptions{})
	if err != nil {
		return err
	}
	// In the source's order: a late writer does not put an older row over a newer one.
	return stock.SetIfNewer(ctx, "tv", row.Left, row.Version, cache.EntryOptions{})
}
