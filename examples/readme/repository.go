package main

import (
	"context"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/patterns"
)

// repositories shows wrappers around a repository. From here on it is in the README.
func repositories(c cache.Cache, db BookDB) (patterns.Repository[int, Book], *patterns.Query[string, int, Book], error) {
	books, err := patterns.NewWriteThrough(c, db, patterns.Entity[int, Book]{ // or NewCacheAside, or NewWriteBehind with a queue
		Dependents: func(_ int, b Book) []cache.Token { return []cache.Token{cache.KeyToken("shelf", b.Shelf)} },
		Typed: cache.TypedOptions[Book]{
			Defaults: cache.EntryOptions{TTL: 10 * time.Minute},
			Freshness: cache.Freshness{ // what was invalidated is never served, whatever stands here
				SoftTTL:      time.Minute, // from then on one load refreshes it, and nobody waits
				StaleIfError: time.Hour,   // kept for when the database is down
				Jitter:       0.1,
			},
		},
	}, nil)
	if err != nil {
		return nil, nil, err
	}
	onShelf, err := patterns.NewQuery(c, books, db.OnShelf, patterns.QueryOptions[string, int]{ // caches ids; books come from their own entries
		Name:   "books-on-shelf",
		Tokens: func(shelf string) []cache.Token { return []cache.Token{cache.KeyToken("shelf", shelf)} },
	})
	return books, onShelf, err
}

// BookDB is the repository you have: Find, Save and Delete, and a query.
type BookDB interface {
	patterns.Repository[int, Book]
	OnShelf(ctx context.Context, shelf string) ([]int, error)
}
