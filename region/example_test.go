package region_test

import (
	"context"
	"fmt"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/region"
)

// Whatever shows products of a category depends on it, and expires with it.
func Example() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	regions, err := region.New(c)
	if err != nil {
		panic(err)
	}
	categories := regions.Named("category")

	database := map[string]string{"apple": "fruit", "leek": "vegetables"}
	products := cache.NewTyped[string](c, nil)
	category := func(name string) string {
		v, err := products.GetOrCreateExclusive(ctx, name, func(_ context.Context, e *cache.Entry) (string, error) {
			found := database[name]
			e.AddToken(categories.TokenForKey(found)) // known only now
			fmt.Println("load", name)
			return found, nil
		})
		if err != nil {
			panic(err)
		}
		return v
	}
	fmt.Println(category("apple"), category("leek"))

	database["apple"] = "pome fruit"
	if err := categories.ExpireKey(ctx, "fruit"); err != nil {
		panic(err)
	}
	fmt.Println(category("apple"), category("leek"))
	// Output:
	// load apple
	// load leek
	// fruit vegetables
	// load apple
	// pome fruit vegetables
}

// A loader that gets another entry does not inherit what that depends on: if it
// should, it names it too.
func Example_nested() {
	ctx := context.Background()
	c, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	regions, err := region.New(c)
	if err != nil {
		panic(err)
	}
	prices := regions.Named("prices")

	price := "1.20"
	views := cache.NewTyped[string](c, nil)
	loadPrice := func(_ context.Context, e *cache.Entry) (string, error) {
		e.AddToken(prices.Token())
		return price, nil
	}
	show := func(key string, tokens ...cache.Token) string {
		v, err := views.GetOrCreateExclusive(ctx, key, func(ctx context.Context, e *cache.Entry) (string, error) {
			e.AddToken(tokens...)
			return views.GetOrCreateExclusive(ctx, "price", loadPrice)
		})
		if err != nil {
			panic(err)
		}
		return v
	}
	fmt.Println(show("receipt"), show("label", prices.Token()))
	price = "1.30"
	if err := prices.Expire(ctx); err != nil {
		panic(err)
	}
	fmt.Println(show("receipt"), show("label", prices.Token()))
	// Output:
	// 1.20 1.20
	// 1.20 1.30
}
