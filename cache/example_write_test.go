package cache_test

import (
	"context"
	"fmt"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/keys"
)

// A repository writes a row and the cache in one go: the new value is stored in
// the step that ends the write, and if the process dies on the way the old one
// is gone all the same.
func ExampleTyped_Write() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	customers := cache.NewTyped[Customer](c, nil)
	key := keys.With("Customer", "ByID", 7)
	ann, err := customers.Write(ctx, key, cache.EntryOptions{}, func(ctx context.Context) (Customer, error) {
		// UPDATE customers SET name = 'Anna' WHERE id = 7, within ctx.
		return Customer{"Anna"}, nil
	})
	fmt.Println(ann.Name, err)
	cached, found, err := customers.Get(ctx, key)
	fmt.Println(cached.Name, found, err)
	// Output:
	// Anna <nil>
	// Anna true <nil>
}

// A write that concerns several entries marks them all before it begins.
func ExampleWriteWith() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	customers := cache.NewTyped[Customer](c, nil)
	_ = customers.Set(ctx, "Customer-ByID-7", Customer{"Ann"}, cache.EntryOptions{})

	both := []string{"Customer-ByID-7", "Customer-ByEmail-ann@example.org"}
	err := cache.WriteWith(ctx, c, both, cache.WriteOptions{}, func(ctx context.Context) error {
		return nil // the transaction, within ctx
	})
	_, found, _ := customers.Get(ctx, both[0])
	fmt.Println(found, err)
	// Output: false <nil>
}

// A repository that reads through a Loading writes through it as well.
func ExampleLoading_Write() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	customers := cache.NewLoading(c, func(ctx context.Context, id int, _ *cache.Entry) (Customer, error) {
		fmt.Println("loading")
		return findCustomer(ctx, id)
	}, nil)
	_, err := customers.Write(ctx, 7, cache.EntryOptions{}, func(context.Context) (Customer, error) {
		return Customer{"Anna"}, nil
	})
	fmt.Println(err)
	anna, err := customers.Get(ctx, 7)
	fmt.Println(anna.Name, err)
	// Output:
	// <nil>
	// Anna <nil>
}
