package main

import (
	"context"
	"maps"
	"slices"

	"github.com/larder-go/larder/cache"
)

// Book is what a BookDB keeps.
type Book struct{ Title, Shelf string }

// memoryDB stands for a database of books.
type memoryDB map[int]Book

// Find returns a book.
func (d memoryDB) Find(_ context.Context, id int) (Book, error) {
	b, ok := d[id]
	if !ok {
		return b, cache.ErrNotFound
	}
	return b, nil
}

// Save stores a book.
func (d memoryDB) Save(_ context.Context, id int, b Book) error {
	d[id] = b
	return nil
}

// Delete removes a book.
func (d memoryDB) Delete(_ context.Context, id int) error {
	delete(d, id)
	return nil
}

// OnShelf returns the books of a shelf.
func (d memoryDB) OnShelf(_ context.Context, shelf string) ([]int, error) {
	var ids []int
	for _, id := range slices.Sorted(maps.Keys(d)) {
		if d[id].Shelf == shelf {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
