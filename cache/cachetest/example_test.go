package cachetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/cachetest"
)

// In a backend's own tests this is
//
//	func TestContract(t *testing.T)
//
// and New makes that backend.
func ExampleRun() {
	test := func(t *testing.T) {
		cfg := cachetest.Config{
			New: func(tb testing.TB) cache.Cache {
				c := cachetest.NewModel(cache.EntryOptions{})
				tb.Cleanup(func() { _ = c.Close(context.Background()) })
				return c
			},
			Skip: map[string]string{"Value/Large": "takes small values only"},
		}
		cachetest.Run(t, cfg)
		cachetest.Check(t, cfg)
	}
	_ = test
}

// A service must answer although its cache is gone, and go on when it is back.
func ExampleFaults() {
	ctx := context.Background()
	faults, c := cachetest.NewFaults(cachetest.NewModel(cache.EntryOptions{}), 1)
	names := cache.NewTyped[string](c, nil)
	find := func() {
		name, err := names.GetOrCreateExclusive(ctx, "user:7", func(context.Context, *cache.Entry) (string, error) {
			fmt.Print("from the source: ")
			return "Ada", nil
		})
		fmt.Println(name, err)
	}

	faults.Plan(cachetest.Fault{Kind: cachetest.FailBefore})
	find()
	find()
	faults.Plan()
	find()
	find()
	// Output:
	// from the source: Ada <nil>
	// from the source: Ada <nil>
	// from the source: Ada <nil>
	// Ada <nil>
}

// A write whose reply is lost may have happened.
func ExampleFault() {
	ctx := context.Background()
	_, c := cachetest.NewFaults(cachetest.NewModel(cache.EntryOptions{}), 1,
		cachetest.Fault{Kind: cachetest.FailAfter, Ops: []string{"set"}, Nth: 1})

	err := c.Set(ctx, "k", []byte("v"), cache.EntryOptions{})
	fmt.Println(errors.Is(err, cache.ErrOutcomeUnknown))
	value, found, err := c.Get(ctx, "k")
	fmt.Printf("%s %v %v\n", value, found, err)
	// Output:
	// true
	// v true <nil>
}

// A gate makes a Remove come exactly while a load is under way.
func ExampleGate() {
	ctx := context.Background()
	prices := cache.NewTyped[int](cachetest.NewModel(cache.EntryOptions{}), nil)
	source, gate := 10, cachetest.NewGate()

	old := make(chan int)
	go func() {
		price, _ := prices.GetOrCreateExclusive(ctx, "price", func(ctx context.Context, _ *cache.Entry) (int, error) {
			read := source
			return read, gate.Pass(ctx)
		})
		old <- price
	}()
	_ = gate.Wait(ctx, 1) // the loader has read 10
	source = 12
	_ = prices.Remove(ctx, "price")
	gate.Open()

	fmt.Println(<-old)
	price, found, err := prices.Get(ctx, "price")
	fmt.Println(price, found, err)
	// Output:
	// 12
	// 12 true <nil>
}

func ExamplePrefixed() {
	ctx := context.Background()
	shared := cachetest.NewModel(cache.EntryOptions{})
	a, b := cachetest.Prefixed(shared, "a:"), cachetest.Prefixed(shared, "b:")

	_ = a.Set(ctx, "k", []byte("v"), cache.EntryOptions{})
	_, found, _ := b.Get(ctx, "k")
	fmt.Println(found)
	value, _, _ := shared.Get(ctx, "a:k")
	fmt.Printf("%s\n", value)
	// Output:
	// false
	// v
}
