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

func Example() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	err = c.Set(ctx, "greeting", []byte("hello"), cache.EntryOptions{TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	value, found, err := c.Get(ctx, "greeting")
	fmt.Printf("%s %v %v\n", value, found, err)
	_, found, err = c.Get(ctx, "farewell")
	fmt.Println(found, err)
	// Output:
	// hello true <nil>
	// false <nil>
}

func ExampleNew_limits() {
	ctx := context.Background()
	c, err := memory.New(&memory.Options{
		MaxEntries: 10_000,
		MaxBytes:   16 << 20,
		Defaults:   cache.EntryOptions{SlidingExpiration: 10 * time.Minute, TTL: time.Hour},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	err = c.Set(ctx, "film", make([]byte, 17<<20), cache.EntryOptions{})
	fmt.Println(errors.Is(err, cache.ErrValueTooLarge))
	fmt.Println(c.Resize(10_000, 64<<20))
	fmt.Println(c.Set(ctx, "film", make([]byte, 17<<20), cache.EntryOptions{}))
	// Output:
	// true
	// <nil>
	// <nil>
}

func ExampleNew_badOptions() {
	_, err := memory.New(&memory.Options{MaxEntries: -1, MaxBytes: -1})
	fmt.Println(err)
	// Output:
	// larder: invalid configuration: memory.Options.MaxEntries = -1 must not be negative
	// larder: invalid configuration: memory.Options.MaxBytes = -1 must not be negative
}

func ExampleCache_SetObject() {
	type product struct{ Name string }
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	if err := c.SetObject(ctx, "product:1", &product{"lamp"}, cache.EntryOptions{}); err != nil {
		log.Fatal(err)
	}
	value, found, err := c.GetObject(ctx, "product:1")
	fmt.Println(value.(*product).Name, found, err)
	_, _, err = c.Get(ctx, "product:1")
	fmt.Println(err)
	// Output:
	// lamp true <nil>
	// larder: entry is of another kind
}

func ExampleCache_Increment() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	for range 3 {
		n, err := c.Increment(ctx, "logins:alice", 1, cache.EntryOptions{TTL: time.Minute})
		fmt.Println(n, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
}

func ExampleCache_AppendTo() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)
	if err := c.Set(ctx, "name", []byte("larder"), cache.EntryOptions{}); err != nil {
		log.Fatal(err)
	}

	buf := make([]byte, 0, 1024) // used again for many reads
	buf, found, err := c.AppendTo(ctx, buf, "name")
	fmt.Printf("%s %v %v\n", buf, found, err)
	// Output: larder true <nil>
}

func ExampleOptions_onEvict() {
	ctx := context.Background()
	left := make(chan memory.Eviction, 10)
	c, err := memory.New(&memory.Options{OnEvict: func(e memory.Eviction) { left <- e }})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	for _, v := range []string{"first", "second"} {
		if err := c.Set(ctx, "key", []byte(v), cache.EntryOptions{}); err != nil {
			log.Fatal(err)
		}
	}
	e := <-left
	fmt.Printf("%s %s %s\n", e.Key, e.Value, e.Cause)
	if err := c.Remove(ctx, "key"); err != nil {
		log.Fatal(err)
	}
	e = <-left
	fmt.Printf("%s %s %s\n", e.Key, e.Value, e.Cause)
	// Output:
	// key first replaced
	// key second removed
}

func ExampleCache_Lease() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	reply, err := c.Lease(ctx, "price", time.Second)
	fmt.Println(reply.State == cache.LeaseGranted, err)

	// While we read the price from the source, somebody changes it.
	if err := c.Remove(ctx, "price"); err != nil {
		log.Fatal(err)
	}

	// So what we read may be old, and is not stored.
	err = c.Set(ctx, "price", []byte("9.99"), cache.EntryOptions{Lease: reply.Lease})
	fmt.Println(errors.Is(err, cache.ErrLeaseLost))
	// Output:
	// true <nil>
	// true
}

func ExampleCache_Stats() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	if err := c.Set(ctx, "a", []byte("12345"), cache.EntryOptions{}); err != nil {
		log.Fatal(err)
	}
	for _, key := range []string{"a", "a", "a", "b"} {
		if _, _, err := c.Get(ctx, key); err != nil {
			log.Fatal(err)
		}
	}
	s := c.Stats()
	fmt.Println(s.Hits, s.Misses, s.HitRatio(), s.Entries, s.Bytes == 1+5+memory.EntryOverhead)
	// Output: 3 1 0.75 1 true
}

func ExampleCache_All() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	if err := c.Set(ctx, "a", []byte("1"), cache.EntryOptions{Priority: cache.PriorityPinned}); err != nil {
		log.Fatal(err)
	}
	for key, value := range c.All() {
		fmt.Printf("%s %s\n", key, value)
	}
	// Output: a 1
}
