package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/keys"
	"github.com/larder-go/larder/memory"
)

// Customer is what the examples cache.
type Customer struct{ Name string }

func findCustomer(_ context.Context, id int) (Customer, error) {
	if id != 7 {
		return Customer{}, cache.ErrNotFound
	}
	return Customer{"Ann"}, nil
}

func mustMemory() *memory.Cache {
	c, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	return c
}

// A loader says in its Entry how long the value lives. Callers that miss at the
// same time share one load.
func ExampleTyped_GetOrCreateExclusive() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	customers := cache.NewTyped[Customer](c, nil)
	for range 2 {
		ann, err := customers.GetOrCreateExclusive(ctx, keys.With("Customer", "ByID", 7),
			func(ctx context.Context, e *cache.Entry) (Customer, error) {
				fmt.Println("loading")
				e.SlidingExpiration = 5 * time.Minute
				return findCustomer(ctx, 7)
			})
		fmt.Println(ann.Name, err)
	}
	// Output:
	// loading
	// Ann <nil>
	// Ann <nil>
}

// A loader that is bound once is what a repository wants.
func ExampleNewLoading() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	customers := cache.NewLoading(c, func(ctx context.Context, id int, e *cache.Entry) (Customer, error) {
		e.TTL = time.Minute
		return findCustomer(ctx, id)
	}, nil)
	ann, err := customers.Get(ctx, 7)
	fmt.Println(ann.Name, err)
	_, err = customers.Get(ctx, 8)
	fmt.Println(errors.Is(err, cache.ErrNotFound))
	// Output:
	// Ann <nil>
	// true
}

// With a NegativeTTL the knowledge that the source has no such value is cached
// too.
func ExampleTypedOptions_negative() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	customers := cache.NewTyped(c, &cache.TypedOptions[Customer]{NegativeTTL: 10 * time.Second})
	for range 2 {
		_, err := customers.GetOrCreateExclusive(ctx, keys.With("Customer", "ByID", 8),
			func(ctx context.Context, _ *cache.Entry) (Customer, error) {
				fmt.Println("loading")
				return findCustomer(ctx, 8)
			})
		fmt.Println(err)
	}
	// Output:
	// loading
	// larder: not found in the source
	// larder: not found in the source
}

// Only the ids that are missing are loaded, in one call.
func ExampleGetOrCreateMany() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	names := cache.NewTyped[string](c, nil)
	key := func(id int) string { return keys.With("Name", id) }
	load := func(_ context.Context, ids []int, e *cache.Entry) (map[int]string, error) {
		fmt.Println("loading", ids)
		e.TTL = time.Minute
		rows := map[int]string{}
		for _, id := range ids {
			rows[id] = fmt.Sprint("name ", id)
		}
		return rows, nil
	}
	for _, ids := range [][]int{{1, 2}, {1, 2, 3}} {
		rows, err := cache.GetOrCreateMany(ctx, names, ids, key, load)
		fmt.Println(rows, err)
	}
	// Output:
	// loading [1 2]
	// map[1:name 1 2:name 2] <nil>
	// loading [3]
	// map[1:name 1 2:name 2 3:name 3] <nil>
}

// A value that is written while an older one is being loaded: the old one is
// neither stored nor returned.
func ExampleTyped_Remove() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	prices := cache.NewTyped[int](c, nil)
	price := 100 // in the source
	cause := make(chan error, 1)
	got, err := prices.GetOrCreateExclusive(ctx, "tea", func(ctx context.Context, _ *cache.Entry) (int, error) {
		if price == 120 {
			return price, nil
		}
		old := price
		price = 120 // meanwhile somebody changes it, and says so
		if err := prices.Remove(ctx, "tea"); err != nil {
			return 0, err
		}
		cause <- context.Cause(ctx) // this load has become useless
		return old, nil
	})
	fmt.Println(got, err)
	fmt.Println(<-cause)
	// Output:
	// 120 <nil>
	// larder: invalidated during load
}

// A context can bypass the cache, for one call chain.
func ExampleDisabled() {
	c := mustMemory()
	ctx := context.Background()
	defer c.Close(ctx)

	names := cache.NewTyped[string](c, nil)
	if err := names.Set(ctx, "k", "cached", cache.EntryOptions{}); err != nil {
		fmt.Println(err)
	}
	fromSource := func(context.Context, *cache.Entry) (string, error) { return "from the source", nil }
	a, _ := names.GetOrCreateExclusive(ctx, "k", fromSource)
	b, _ := names.GetOrCreateExclusive(cache.Disabled(ctx), "k", fromSource)
	fmt.Println(a, "/", b)
	// Output:
	// cached / from the source
}

// What a transaction reads is not cached, and is not read from the cache.
func ExampleInTransaction() {
	c := mustMemory()
	ctx := context.Background()
	defer c.Close(ctx)

	stock := 5
	stocks := cache.NewLoading(c, func(context.Context, string, *cache.Entry) (int, error) { return stock, nil },
		&cache.LoadingOptions[string, int]{Transactional: true})
	before, _ := stocks.Get(ctx, "tea")
	stock = 4 // in a transaction that may be rolled back yet
	within, _ := stocks.Get(cache.InTransaction(ctx), "tea")
	others, _ := stocks.Get(ctx, "tea")
	fmt.Println(before, within, others)
	// Output:
	// 5 4 5
}
