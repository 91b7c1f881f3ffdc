package queue_test

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	redisqueue "github.com/larder-go/larder/distributed/queue"
	"github.com/larder-go/larder/patterns"
)

// A repository whose writes are acknowledged by Redis, and reach the source later.
func Example() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	defer func() { _ = client.Close() }()
	q, err := redisqueue.New(client, &redisqueue.Options{Prefix: "products"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = q.Close(ctx) }()
	inner := &counted{values: map[string]int{}} // the repository of the database
	// It asks the server whether it keeps what it acknowledges.
	products, err := patterns.NewWriteBehind(ctx, nil, inner, q, patterns.Entity[string, int]{}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = products.Close(ctx) }()
	_ = products.Save(ctx, "apple", 3)
}
