package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
)

// The function in the README is this one, to the letter.
func TestReadmeShowsThisFunction(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("update.go")
	if err != nil {
		t.Fatal(err)
	}
	_, function, ok := strings.Cut(string(file), "it is in the README.\n")
	if !ok || !strings.Contains(string(readme), "\n```go\n"+function+"```\n") {
		t.Error("README.md shows another function than update.go")
	}
}

func Example_sell() {
	ctx := context.Background()
	c, err := larder.Open("memory://", nil)
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	stock := cache.NewTyped[int](c, nil)
	_, err = stock.Add(ctx, "radio", 100, cache.EntryOptions{})
	fmt.Println(err)

	row := Row{Left: 7, Version: 2, Write: func(_ context.Context, left int, fence uint64) error {
		fmt.Println("written:", left, fence > 0)
		return nil
	}}
	fmt.Println(sell(ctx, stock, row))
	row.Left, row.Version = 8, 1
	fmt.Println("an older row is refused:", errors.Is(sell(ctx, stock, row), cache.ErrOutdated))
	left, _, err := stock.Get(ctx, "tv")
	fmt.Println(left, err)
	// Output:
	// <nil>
	// written: 98 true
	// <nil>
	// written: 96 true
	// an older row is refused: true
	// 7 <nil>
}
