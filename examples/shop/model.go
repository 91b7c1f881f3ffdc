package main

import "fmt"

// What the shop sells, to whom, and what it counts. Each is a table of its own,
// and is cached by a pattern of its own.
type (
	Product struct {
		ID       int
		Name     string
		Category string
		Cents    int
	}
	Customer struct {
		ID    int
		Name  string
		City  string
		Email string
	}
	Stock struct {
		ID   int // of the product
		Left int
	}
	// Views are how often a product was looked at. Saving them adds to what there
	// is: see viewsTable.
	Views struct {
		ID    int // of the product
		Count int
	}
)

const (
	productCount  = 48
	customerCount = 40
)

var categories = []string{"Audio", "Bicycles", "Books", "Garden", "Kitchen", "Lighting"}

// The goods that a new database has.

func newProduct(id int) Product {
	kinds := map[string][]string{
		"Audio":    {"Radio", "Headphones", "Loudspeaker", "Turntable"},
		"Bicycles": {"City bicycle", "Saddle", "Bell", "Pannier"},
		"Books":    {"Cookbook", "Atlas", "Novel", "Dictionary"},
		"Garden":   {"Spade", "Watering can", "Bench", "Rose"},
		"Kitchen":  {"Kettle", "Pan", "Teapot", "Bread knife"},
		"Lighting": {"Desk lamp", "Lantern", "Candle", "Torch"},
	}
	category := categories[(id-1)%len(categories)]
	nth := (id - 1) / len(categories)
	name := kinds[category][nth%4]
	return Product{ID: id, Name: fmt.Sprintf("%s No. %d", name, 1+nth/4), Category: category, Cents: 990 + id*370%9000}
}

func newCustomer(id int) Customer {
	first := []string{"Ada", "Emmy", "Grace", "Mary", "Sofia", "Alan", "Edsger", "Niklaus"}[(id-1)%8]
	last := []string{"Brook", "Fields", "Hill", "Lake", "Wood"}[(id-1)/8]
	city := []string{"Bern", "Lisbon", "Oslo", "Prague", "Turin"}[id%5]
	return Customer{ID: id, Name: first + " " + last, City: city, Email: fmt.Sprintf("customer%d@shop.example", id)}
}

func newStock(id int) Stock { return Stock{ID: id, Left: 5 + id*7%40} }
