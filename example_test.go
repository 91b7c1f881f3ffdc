package larder_test

import (
	"context"
	"fmt"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
)

func ExampleOpen() {
	ctx := context.Background()
	c, err := larder.Open("memory://?max_bytes=64MiB&ttl=10m", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close(ctx)

	if err := c.Set(ctx, "greeting", []byte("hello"), cache.EntryOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	value, found, err := c.Get(ctx, "greeting")
	fmt.Println(string(value), found, err)
	// Output: hello true <nil>
}

func ExampleOpen_errors() {
	_, err := larder.Open("redis://app:secret@cache/first?ttl=60&pool_sise=9", nil)
	fmt.Println(err)
	// Output:
	// larder: invalid configuration: URL = (hidden) has a path that does not end with the number of a database
	// larder: invalid configuration: URL parameter = pool_sise is unknown
	// larder: invalid configuration: URL parameter ttl = "60" must be a positive duration such as 10m, or none
}
