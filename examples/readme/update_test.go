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
	"github.com/larder-go/larder/region"
)

// The functions in the README are these, to the letter.
func TestReadmeShowsTheseFunctions(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"update.go", "regions.go", "repository.go"} {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, functions, ok := strings.Cut(string(file), "it is in the README.\n")
		if !ok || !strings.Contains(string(readme), "\n```go\n"+functions+"```\n") {
			t.Errorf("README.md shows other functions than %s", name)
		}
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

func Example_move() {
	ctx := context.Background()
	c, err := larder.Open("memory://", nil)
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	regions, err := region.New(c)
	if err != nil {
		panic(err)
	}
	shop := Shop{Cache: c, Regions: regions, Categories: regions.Named("category"), DB: Database{1: "fruit", 2: "fruit", 3: "bread"}}
	fmt.Println(list(ctx, shop, "fruit"))
	fmt.Println(list(ctx, shop, "bread"))
	fmt.Println(move(ctx, shop, 2, "fruit", "bread"))
	fmt.Println(list(ctx, shop, "fruit"))
	fmt.Println(list(ctx, shop, "bread"))
	// Output:
	// [1 2] <nil>
	// [3] <nil>
	// <nil>
	// [1] <nil>
	// [2 3] <nil>
}

func Example_repositories() {
	ctx := context.Background()
	c, err := larder.Open("memory://", nil)
	if err != nil {
		panic(err)
	}
	defer c.Close(ctx)
	books, onShelf, err := repositories(c, memoryDB{1: {"Emma", "novels"}})
	fmt.Println(err)
	fmt.Println(onShelf.Find(ctx, "novels"))
	fmt.Println(books.Save(ctx, 2, Book{"Persuasion", "novels"}))
	fmt.Println(onShelf.Find(ctx, "novels"))
	// Output:
	// <nil>
	// [{Emma novels}] <nil>
	// <nil>
	// [{Emma novels} {Persuasion novels}] <nil>
}
