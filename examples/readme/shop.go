package main

import (
	"context"
	"maps"
	"slices"

	"github.com/larder-go/larder/keys"
)

// Database stands for the source: the category of each product.
type Database map[int]string

// SetCategory changes one product.
func (d Database) SetCategory(_ context.Context, id int, category string) error {
	d[id] = category
	return nil
}

// List returns the products of a category.
func (d Database) List(_ context.Context, category string) ([]int, error) {
	var found []int
	for _, id := range slices.Sorted(maps.Keys(d)) {
		if d[id] == category {
			found = append(found, id)
		}
	}
	return found, nil
}

func productKey(id int) string { return keys.With("product", id) }
