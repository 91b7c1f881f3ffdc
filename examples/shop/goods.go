package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// row is a product as the pages show it.
type row struct {
	Product
	Left  int
	Views int // -1: not known
}

// rows adds to products what other tables have, each through its own pattern.
func (s *shop) rows(ctx context.Context, products ...Product) ([]row, error) {
	ids := make([]int, len(products))
	for i, p := range products {
		ids[i] = p.ID
	}
	stock, err := s.stock.FindMany(ctx, ids)
	if err != nil {
		return nil, err
	}
	views, err := s.totals.GetMany(ctx, ids)
	if err != nil {
		s.events.add("no view counts: %v", err) // the page does without
	}
	rows := make([]row, len(products))
	for i, p := range products {
		rows[i] = row{p, stock[p.ID].Left, -1}
		if v, ok := views[p.ID]; ok {
			rows[i].Views = v.Count
		}
	}
	return rows, nil
}

type productList struct {
	listing
	Categories []string
	Rows       []row
}

func (s *shop) listProducts(w http.ResponseWriter, r *http.Request) error {
	l := listing{Category: r.FormValue("category"), Search: r.FormValue("q")}
	return s.render(w, r, "products.html", func(ctx context.Context) (string, any, error) {
		products, err := s.lists.Find(ctx, l)
		if err != nil {
			return "", nil, err
		}
		rows, err := s.rows(ctx, products...)
		return "Catalogue", productList{l, categories, rows}, err
	})
}

type productPage struct {
	row
	Categories []string
}

func (s *shop) showProduct(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return s.render(w, r, "product.html", func(ctx context.Context) (string, any, error) {
		product, err := s.products.Find(ctx, id)
		if err != nil {
			return "", nil, err
		}
		if err := s.views.Save(ctx, id, Views{id, 1}); err != nil {
			s.events.add("a view of product %d was not counted: %v", id, err)
		}
		rows, err := s.rows(ctx, product)
		if err != nil {
			return "", nil, err
		}
		return product.Name, productPage{rows[0], categories}, nil
	})
}

func (s *shop) saveProduct(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	price, err := strconv.ParseFloat(r.FormValue("price"), 64)
	name := strings.TrimSpace(r.FormValue("name"))
	if err != nil || !(price >= 0 && price < 1e6) || name == "" || r.FormValue("category") == "" {
		return errInput
	}
	p := Product{ID: id, Name: name, Category: r.FormValue("category"), Cents: int(math.Round(price * 100))}
	if err := s.editProducts.Save(r.Context(), id, p); err != nil {
		return err
	}
	return back(w, r, fmt.Sprintf("/product/%d", id))
}

var errSoldOut = errors.New("there are not so many left")

// changeStock sells or restocks. What is left is read and written in one
// transaction: it asks the source, whatever the pattern, and the cache is told
// after the commit.
func (s *shop) changeStock(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	by, err := number(r.FormValue("by"))
	if err != nil {
		return err
	}
	err = s.editStock.Transact(r.Context(), func(ctx context.Context) error {
		now, err := s.editStock.Find(ctx, id)
		if err != nil {
			return err
		}
		if now.Left += by; now.Left < 0 {
			return errSoldOut
		}
		return s.editStock.Save(ctx, id, now)
	})
	if err != nil {
		return err
	}
	return back(w, r, fmt.Sprintf("/product/%d", id))
}

type customerList struct {
	Search    string
	Customers []Customer
}

func (s *shop) listCustomers(w http.ResponseWriter, r *http.Request) error {
	search := r.FormValue("q")
	return s.render(w, r, "customers.html", func(ctx context.Context) (string, any, error) {
		customers, err := s.people.Find(ctx, search)
		return "Customers", customerList{search, customers}, err
	})
}

func (s *shop) showCustomer(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	return s.render(w, r, "customer.html", func(ctx context.Context) (string, any, error) {
		c, err := s.customers.Find(ctx, id)
		return c.Name, c, err
	})
}

func (s *shop) saveCustomer(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	c := Customer{ID: id, Name: strings.TrimSpace(r.FormValue("name")), City: strings.TrimSpace(r.FormValue("city")), Email: r.FormValue("email")}
	if c.Name == "" || c.City == "" {
		return errInput
	}
	if err := s.editCustomers.Save(r.Context(), id, c); err != nil {
		return err
	}
	return back(w, r, fmt.Sprintf("/customer/%d", id))
}
