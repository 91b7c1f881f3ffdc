package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

// An expired value is kept for when its source is down, but not one that was
// removed.
func ExampleFreshness() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	prices := cache.NewTyped(c, &cache.TypedOptions[int]{
		Defaults: cache.EntryOptions{TTL: time.Millisecond},
		Freshness: cache.Freshness{
			StaleIfError: time.Hour,
			SoftTimeout:  200 * time.Millisecond,
		},
	})
	find := func(context.Context, *cache.Entry) (int, error) { return 3, nil }
	fmt.Println(prices.GetOrCreateExclusive(ctx, "tea", find))

	for found := true; found; { // until the price has expired
		_, found, _ = prices.Get(ctx, "tea")
	}
	fail := func(context.Context, *cache.Entry) (int, error) { return 0, errors.New("the shop is closed") }
	fmt.Println(prices.GetOrCreateExclusive(ctx, "tea", fail))

	if err := prices.Remove(ctx, "tea"); err != nil {
		panic(err)
	}
	fmt.Println(prices.GetOrCreateExclusive(ctx, "tea", fail))
	// Output:
	// 3 <nil>
	// 3 <nil>
	// 0 the shop is closed
}

// A loader asks its source whether there is anything new, and keeps the value if
// there is not.
func ExampleErrNotModified() {
	ctx := context.Background()
	c := mustMemory()
	defer c.Close(ctx)

	// fetch stands for an HTTP request with If-None-Match.
	fetch := func(etag string) (status int, body, newTag string) {
		if etag == `"v1"` {
			return 304, "", ""
		}
		return 200, "the page", `"v1"`
	}
	pages := cache.NewTyped(c, &cache.TypedOptions[string]{
		Defaults:  cache.EntryOptions{TTL: time.Millisecond},
		Freshness: cache.Freshness{StaleIfError: time.Hour},
	})
	load := func(_ context.Context, e *cache.Entry) (string, error) {
		status, body, etag := fetch(e.PreviousETag())
		fmt.Println("status", status)
		if status == 304 {
			return "", cache.ErrNotModified
		}
		e.ETag = etag
		return body, nil
	}
	for range 2 {
		fmt.Println(pages.GetOrCreateExclusive(ctx, "page", load))
		for found := true; found; { // until it has expired
			_, found, _ = pages.Get(ctx, "page")
		}
	}
	// Output:
	// status 200
	// the page <nil>
	// status 304
	// the page <nil>
}
