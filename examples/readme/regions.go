package main

import (
	"context"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/region"
)

// move shows a write and regions. From here on it is in the README.
func move(ctx context.Context, shop Shop, id int, from, to string) error {
	// The key is marked before the commit, and unmarked after it, so nothing old survives even if this process dies in between.
	err := cache.Write(ctx, shop.Cache, productKey(id), func(ctx context.Context) error {
		return shop.DB.SetCategory(ctx, id, to)
	})
	if err != nil {
		return err
	}
	// Every list of the two categories is gone, in all processes, however many there are.
	return shop.Regions.Expire(ctx, shop.Categories.TokenForKey(from), shop.Categories.TokenForKey(to))
}

func list(ctx context.Context, shop Shop, category string) ([]int, error) {
	return cache.GetOrCreateExclusive(ctx, shop.Cache, "list-"+category, func(ctx context.Context, e *cache.Entry) ([]int, error) {
		e.AddToken(shop.Categories.TokenForKey(category)) // at any time before it returns
		return shop.DB.List(ctx, category)
	})
}

type Shop struct {
	Cache      cache.Cache
	Regions    *region.Registry // region.New(c)
	Categories region.Region    // regions.Named("category")
	DB         Database
}
