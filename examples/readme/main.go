package main

import (
	"context"
	"fmt"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
)

type Product struct{ Name string }

func main() {
	ctx := context.Background()
	c, err := larder.Open("memory://", nil) // or redis://host:6379, redis+cluster://..., redis+sentinel://...
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)

	products := cache.NewLoading(c, func(ctx context.Context, id int, e *cache.Entry) (Product, error) {
		return Product{fmt.Sprint("product ", id)}, nil // your database; callers that miss together share this call
	}, nil)
	p, err := products.Get(ctx, 42)
	fmt.Println(p.Name, err) // product 42 <nil>
}
