package near_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/distributed/near"
)

type product struct {
	Name  string
	Price int
}

func ExampleNew() {
	server := miniredis.NewMiniRedis() // it stands for a Redis
	if err := server.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	ctx := context.Background()

	c, err := near.New(redis.NewClient(&redis.Options{Addr: server.Addr()}), &near.Options{
		Remote: distributed.Options{Prefix: "shop:", CloseClient: true},
		Mode:   near.Bounded, // what other processes change shows
		Bound:  time.Second,  // within a second
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)

	products := cache.NewLoading(c, func(ctx context.Context, id int64, e *cache.Entry) (product, error) {
		fmt.Println("load", id)
		e.TTL = time.Hour
		return product{"tea", 350}, nil
	}, nil)
	for range 2 {
		p, err := products.Get(ctx, 42)
		fmt.Println(p.Name, p.Price, err)
	}
	fmt.Println(products.Remove(ctx, 42)) // and nobody here is given the old value
	p, err := products.Get(ctx, 42)
	fmt.Println(p.Name, p.Price, err)
	// Output:
	// load 42
	// tea 350 <nil>
	// tea 350 <nil>
	// <nil>
	// load 42
	// tea 350 <nil>
}
