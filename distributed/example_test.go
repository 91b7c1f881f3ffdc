package distributed_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

func Example() {
	server, err := miniredis.Run() // in place of your Redis
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	ctx := context.Background()
	c, err := distributed.New(client, &distributed.Options{Prefix: "shop:"})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	err = c.Set(ctx, "greeting", []byte("hello"), cache.EntryOptions{SlidingExpiration: 10 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	value, found, err := c.Get(ctx, "greeting")
	fmt.Println(string(value), found, err)
	fmt.Println(server.Keys())
	// Output:
	// hello true <nil>
	// [shop:greeting]
}

func ExampleCache_Increment() {
	server, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()

	ctx := context.Background()
	c, err := distributed.New(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(ctx)

	for range 3 {
		n, err := c.Increment(ctx, "logins", 1, cache.EntryOptions{TTL: time.Minute})
		fmt.Println(n, err)
	}
	native, _ := server.Get("logins") // any Redis client can read it
	fmt.Println(native)
	// Output:
	// 1 <nil>
	// 2 <nil>
	// 3 <nil>
	// 3
}
