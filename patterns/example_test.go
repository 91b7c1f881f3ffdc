package patterns_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/patterns"
)

// Book is what these examples keep.
type Book struct{ Title, Shelf string }

// books says how a Book is cached: for ten minutes, and its shelf's list depends on
// it.
func books() patterns.Entity[int, Book] {
	return patterns.Entity[int, Book]{
		Dependents: func(_ int, b Book) []cache.Token { return shelfToken(b.Shelf) },
		Typed:      cache.TypedOptions[Book]{Defaults: cache.EntryOptions{TTL: 10 * time.Minute}},
	}
}

func shelfToken(name string) []cache.Token { return []cache.Token{cache.KeyToken("shelf", name)} }

// library is a repository that says when it is asked.
func library() patterns.Funcs[int, Book] {
	rows := map[int]Book{1: {"Emma", "novels"}}
	return patterns.Funcs[int, Book]{
		FindFunc: func(_ context.Context, id int) (Book, error) {
			fmt.Println("source: find", id)
			b, ok := rows[id]
			if !ok {
				return b, cache.ErrNotFound
			}
			return b, nil
		},
		SaveFunc: func(_ context.Context, id int, b Book) error {
			fmt.Println("source: save", id)
			rows[id] = b
			return nil
		},
		DeleteFunc: func(_ context.Context, id int) error {
			fmt.Println("source: delete", id)
			delete(rows, id)
			return nil
		},
	}
}

func openExample() cache.Backend {
	c, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	return c
}

// A write removes the entry; the next reader loads what the source has.
func ExampleCacheAside() {
	ctx := context.Background()
	c := openExample()
	defer c.Close(ctx)

	r, err := patterns.NewCacheAside(c, library(), patterns.Entity[int, Book]{})
	if err != nil {
		panic(err)
	}
	for range 2 {
		b, err := r.Find(ctx, 1)
		fmt.Println(b.Title, err)
	}
	if err := r.Save(ctx, 1, Book{"Persuasion", "novels"}); err != nil {
		panic(err)
	}
	b, err := r.Find(ctx, 1)
	fmt.Println(b.Title, err)
	// Output:
	// source: find 1
	// Emma <nil>
	// Emma <nil>
	// source: save 1
	// source: find 1
	// Persuasion <nil>
}

// A write leaves the new value in the cache. What of an entity others depend on is
// read before.
func ExampleWriteThrough() {
	ctx := context.Background()
	c := openExample()
	defer c.Close(ctx)

	r, err := patterns.NewWriteThrough(c, library(), books(), nil)
	if err != nil {
		panic(err)
	}
	err = r.Save(ctx, 1, Book{"Persuasion", "novels"})
	if errors.Is(err, cache.ErrCommittedCacheDegraded) {
		fmt.Println("saved, but some may see the old book for a while")
	} else if err != nil {
		panic(err)
	}
	b, err := r.Find(ctx, 1)
	fmt.Println(b.Title, err)
	// Output:
	// source: find 1
	// source: save 1
	// Persuasion <nil>
}

// A source that others write: they, or their events, call Invalidate.
func ExampleReadThrough() {
	ctx := context.Background()
	c := openExample()
	defer c.Close(ctx)

	r, err := patterns.NewReadThrough(c, library().Find, patterns.Entity[int, Book]{
		Typed: cache.TypedOptions[Book]{NegativeTTL: time.Minute},
	})
	if err != nil {
		panic(err)
	}
	for range 2 {
		_, err := r.Find(ctx, 7)
		fmt.Println(errors.Is(err, cache.ErrNotFound))
	}
	if err := r.Invalidate(ctx, 7); err != nil {
		panic(err)
	}
	_, err = r.Find(ctx, 7)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	// source: find 7
	// true
	// true
	// source: find 7
	// true
}

// Lists hold ids, so that a book that is changed is changed in each of them; one
// that moves to another shelf makes both lists be asked for again.
func ExampleQuery() {
	ctx := context.Background()
	c := openExample()
	defer c.Close(ctx)

	source := library()
	r, err := patterns.NewWriteThrough(c, source, books(), nil)
	if err != nil {
		panic(err)
	}
	onShelf := func(ctx context.Context, name string) ([]int, error) {
		fmt.Println("source: list", name)
		b, err := source.Find(ctx, 1)
		if err != nil || b.Shelf != name {
			return nil, err
		}
		return []int{1}, nil
	}
	q, err := patterns.NewQuery(c, r, onShelf, patterns.QueryOptions[string, int]{Name: "shelf", Tokens: shelfToken})
	if err != nil {
		panic(err)
	}
	if err := r.Save(ctx, 1, Book{"Persuasion", "novels"}); err != nil {
		panic(err)
	}
	for range 2 {
		list, err := q.Find(ctx, "novels")
		fmt.Println(list, err)
	}
	if err := r.Save(ctx, 1, Book{"Persuasion", "classics"}); err != nil {
		panic(err)
	}
	list, err := q.Find(ctx, "novels")
	fmt.Println(list, err)
	// Output:
	// source: find 1
	// source: save 1
	// source: list novels
	// source: find 1
	// [{Persuasion novels}] <nil>
	// [{Persuasion novels}] <nil>
	// source: find 1
	// source: save 1
	// source: list novels
	// source: find 1
	// [] <nil>
}

// Hooks hear of writes that are committed, after the cache has.
func ExampleHooked() {
	ctx := context.Background()
	c := openExample()
	defer c.Close(ctx)

	aside, err := patterns.NewCacheAside(c, library(), patterns.Entity[int, Book]{})
	if err != nil {
		panic(err)
	}
	r, err := patterns.NewHooked(aside, patterns.Hooks[int, Book]{
		OnSaved:   func(_ context.Context, id int, b Book) { fmt.Println("saved:", id, b.Title) },
		OnDeleted: func(_ context.Context, id int) { fmt.Println("deleted:", id) },
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Save(ctx, 2, Book{"Ulysses", "novels"}), r.Delete(ctx, 1))
	// Output:
	// source: save 2
	// saved: 2 Ulysses
	// source: delete 1
	// deleted: 1
	// <nil> <nil>
}

// At the start of a service, before it takes requests.
func ExampleWarm() {
	ctx := context.Background()
	c := openExample()
	defer c.Close(ctx)

	r, err := patterns.NewCacheAside(c, library(), patterns.Entity[int, Book]{})
	if err != nil {
		panic(err)
	}
	ids := slices.Values([]int{1, 2})
	done, err := patterns.Warm(ctx, r, ids, patterns.WarmOptions[int]{
		Progress: func(p patterns.WarmProgress) { fmt.Println(p.Done, "done") },
		OnError:  func(id int, err error) { fmt.Println(id, err) },
	})
	fmt.Println(done.Found, done.Missing, done.Failed, err)
	b, err := r.Find(ctx, 1)
	fmt.Println(b.Title, err)
	// Output:
	// source: find 1
	// source: find 2
	// 2 done
	// 1 1 0 <nil>
	// Emma <nil>
}

// Keeps a cache warm until it is closed.
func ExampleSchedule() {
	ctx := context.Background()
	warmed := make(chan struct{})
	s, err := patterns.NewSchedule(time.Hour, func(context.Context) error {
		close(warmed) // patterns.Warm, mostly
		return nil
	}, func(err error) { fmt.Println(err) })
	if err != nil {
		panic(err)
	}
	<-warmed
	fmt.Println(s.Close(ctx))
	// Output: <nil>
}
