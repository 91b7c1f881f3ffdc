package cache_test

import (
	"errors"
	"fmt"

	"github.com/larder-go/larder/cache"
)

func ExampleJSON() {
	type product struct {
		ProductName string
		Tags        []string
		Discount    *int
	}
	codec := cache.JSON[product]()
	data, _ := codec.Append(nil, product{ProductName: "tea", Tags: []string{}})
	fmt.Println(string(data))

	p, err := codec.Decode(data)
	fmt.Println(p.ProductName, p.Tags == nil, p.Discount == nil, err)
	// Output:
	// {"ProductName":"tea","Tags":[],"Discount":null}
	// tea false true <nil>
}

func ExampleMsgpack() {
	old := cache.Msgpack[struct{ Count int64 }]()
	data, _ := old.Append(nil, struct{ Count int64 }{300})

	// Bytes of another shape, or numbers that do not fit, never become a value.
	_, err := cache.Msgpack[struct{ Count int8 }]().Decode(data)
	fmt.Println(errors.Is(err, cache.ErrUndecodable))

	// What could not come back is not encoded.
	_, err = cache.Msgpack[struct{ secret string }]().Append(nil, struct{ secret string }{"x"})
	fmt.Println(errors.Is(err, cache.ErrUnencodable))
	// Output:
	// true
	// true
}
