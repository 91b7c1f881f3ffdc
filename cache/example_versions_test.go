package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// Two shops sell from one stock at the same time. Neither sale is lost: who comes
// late computes anew.
func ExampleTyped_Update() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	stock := cache.NewTyped[int](c, nil)
	if err := stock.Set(ctx, "RadioInventory", 100, cache.EntryOptions{}); err != nil {
		log.Fatal(err)
	}

	errSoldOut := errors.New("sold out")
	sell := func(n int) func(int, bool) (int, error) {
		return func(left int, found bool) (int, error) {
			if left < n {
				return 0, errSoldOut
			}
			return left - n, nil
		}
	}
	done := make(chan error)
	go func() {
		_, err := stock.Update(ctx, "RadioInventory", sell(10), cache.UpdateOptions{})
		done <- err
	}()
	_, err = stock.Update(ctx, "RadioInventory", sell(5), cache.UpdateOptions{})
	fmt.Println(err, <-done)

	left, _, err := stock.Get(ctx, "RadioInventory")
	fmt.Println(left, err)
	_, err = stock.Update(ctx, "RadioInventory", sell(90), cache.UpdateOptions{})
	fmt.Println(err)
	// Output:
	// <nil> <nil>
	// 85 <nil>
	// sold out
}

// One shop at a time works on the entry; what it writes elsewhere goes with the
// token of its lock.
func ExampleTyped_UpdateLocked() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	stock := cache.NewTyped[int](c, nil)

	var last uint64
	for range 2 {
		left, err := stock.UpdateLocked(ctx, "RadioInventory", func(ctx context.Context, left int, found bool, fence uint64) (int, error) {
			if !found {
				left = 100 // from the database
			}
			fmt.Println("a later lock has a greater token:", fence > last)
			last = fence
			return left - 10, nil
		}, cache.UpdateOptions{})
		fmt.Println(left, err)
	}
	// Output:
	// a later lock has a greater token: true
	// 90 <nil>
	// a later lock has a greater token: true
	// 80 <nil>
}

// Two writers of one row put it into the cache in the wrong order. The later row
// stays.
func ExampleTyped_SetIfNewer() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	names := cache.NewTyped[string](c, nil)

	fmt.Println(names.SetIfNewer(ctx, "customer 7", "Ann Smith", 12, cache.EntryOptions{}))
	err = names.SetIfNewer(ctx, "customer 7", "Ann Jones", 11, cache.EntryOptions{})
	var outdated *cache.OutdatedError
	fmt.Println(errors.As(err, &outdated), outdated.Current)
	name, _, err := names.Get(ctx, "customer 7")
	fmt.Println(name, err)
	// Output:
	// <nil>
	// true 12
	// Ann Smith <nil>
}
