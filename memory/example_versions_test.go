package memory_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

// Two clients read how many radios there are and each sells some. The second
// one to write learns that it has read too early; nothing is lost.
func ExampleCache_CompareAndSet_radioInventory() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.Set(ctx, "RadioInventory", []byte("100"), cache.EntryOptions{}); err != nil {
		log.Fatal(err)
	}

	first, _, err := c.GetItem(ctx, "RadioInventory")
	if err != nil {
		log.Fatal(err)
	}
	second, _, err := c.GetItem(ctx, "RadioInventory")
	if err != nil {
		log.Fatal(err)
	}

	_, err = c.CompareAndSet(ctx, "RadioInventory", []byte("90"), first.Version, cache.EntryOptions{})
	fmt.Println("first client:", err)
	_, err = c.CompareAndSet(ctx, "RadioInventory", []byte("95"), second.Version, cache.EntryOptions{})
	fmt.Println("second client refused:", errors.Is(err, cache.ErrVersionMismatch))
	var mismatch *cache.VersionMismatchError
	told := errors.As(err, &mismatch)

	now, _, err := c.GetItem(ctx, "RadioInventory")
	fmt.Printf("%s %v\n", now.Value, err)
	fmt.Println("told which version is there:", told && mismatch.Current == now.Version)
	// Output:
	// first client: <nil>
	// second client refused: true
	// 90 <nil>
	// told which version is there: true
}

// One client at a time works on the entry. Others read it meanwhile, and are
// told at once that they cannot lock it.
func ExampleCache_GetAndLock() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.Set(ctx, "RadioInventory", []byte("100"), cache.EntryOptions{}); err != nil {
		log.Fatal(err)
	}

	item, handle, err := c.GetAndLock(ctx, "RadioInventory", 5*time.Second, cache.LockOptions{})
	fmt.Printf("%s %v\n", item.Value, err)

	_, _, err = c.GetAndLock(ctx, "RadioInventory", 5*time.Second, cache.LockOptions{})
	fmt.Println("locked:", errors.Is(err, cache.ErrLocked))
	value, _, err := c.Get(ctx, "RadioInventory")
	fmt.Printf("read: %s %v\n", value, err)

	_, err = c.PutAndUnlock(ctx, "RadioInventory", []byte("90"), handle, cache.EntryOptions{})
	fmt.Println(err)
	err = c.Unlock(ctx, "RadioInventory", handle, 0)
	fmt.Println("handle is dead:", errors.Is(err, cache.ErrNotLocked))
	// Output:
	// 100 <nil>
	// locked: true
	// read: 100 <nil>
	// <nil>
	// handle is dead: true
}

// A forced lock keeps an absent key for its holder, who stores the entry when
// it is made.
func ExampleCache_GetAndLock_force() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	_, handle, err := c.GetAndLock(ctx, "report", time.Minute, cache.LockOptions{Force: true})
	fmt.Println(err)
	_, found, err := c.Get(ctx, "report")
	fmt.Println(found, err)
	_, err = c.PutAndUnlock(ctx, "report", []byte("done"), handle, cache.EntryOptions{})
	value, found, _ := c.Get(ctx, "report")
	fmt.Printf("%s %v %v\n", value, found, err)
	// Output:
	// <nil>
	// false <nil>
	// done true <nil>
}
