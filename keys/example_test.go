package keys_test

import (
	"fmt"
	"strings"

	"github.com/larder-go/larder/keys"
)

func ExampleWith() {
	fmt.Println(keys.With("Product", "ByID", 42))
	fmt.Println(keys.With("a-b", "c"))
	fmt.Println(keys.With("a", "b-c"))
	fmt.Println(keys.With("", nil))
	// Output:
	// Product-ByID-42
	// a%2Db-c
	// a-b%2Dc
	// %e-%n
}

func ExampleBind() {
	byID := keys.Bind("Product", "ByID") // once
	fmt.Println(byID.With(42))
	fmt.Println(string(byID.Append(nil, 43))) // into memory of your own
	// Output:
	// Product-ByID-42
	// Product-ByID-43
}

type Product struct{}

func ExampleFor() {
	byID := keys.For[Product]("ByID")
	fmt.Println(byID.With(42))
	fmt.Println(keys.Of[Product]("ByID", 42) == byID.With(42))
	// Output:
	// Product@76b00098f5777980-ByID-42
	// true
}

type Money struct {
	Currency string
	Cents    int64
}

type Customer struct{ ID int64 }

func (c *Customer) CacheKey() string { return fmt.Sprint(c.ID) }

func ExampleValue() {
	fmt.Println(keys.With("Offers", keys.Value(Money{"EUR", 1999})))
	fmt.Println(keys.With("Cart", keys.Value(&Customer{ID: 7})))
	fmt.Println(keys.With("ByIDs", keys.Value([]int{1, 2, 3})))
	// Output:
	// Offers-[Cents=1999|Currency=EUR]
	// Cart-7
	// ByIDs-[1|2|3]
}

func ExampleParseQuery() {
	a, _ := keys.ParseQuery("q=books&tag=new&tag=art", nil)
	b, _ := keys.ParseQuery("tag=art&q=books&tag=new", nil)
	fmt.Println(keys.With("Search", a))
	fmt.Println(a == b)
	// Output:
	// Search-[q=books|tag=[art|new]]
	// true
}

func ExampleShorten() {
	key := keys.With("Note", strings.Repeat("long ", 1000))
	fmt.Println(len(key), key[:66])
	// Output:
	// 130 Note-long long long long long long long long long long long long%#
}
