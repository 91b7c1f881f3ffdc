package main

import (
	"context"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// Product is a row.
type Product struct {
	Name  string
	Cents int
}

const (
	shortLived = 4 // the product whose entry lives for lifetime
	lifetime   = 300 * time.Millisecond
)

// database is the slow source: it reads the row, and then takes its time.
type database struct {
	mu      sync.Mutex
	rows    map[int]Product
	wait    time.Duration
	queries int
	started chan struct{} // closed by the next query once it has read its row
}

func newDatabase() *database {
	return &database{
		wait: 200 * time.Millisecond,
		rows: map[int]Product{
			1:          {"green tea", 350},
			2:          {"coffee", 820},
			3:          {"cocoa", 599},
			shortLived: {"fresh milk", 129},
		},
	}
}

// find loads a product: it is what the cache calls on a miss.
func (d *database) find(ctx context.Context, id int, e *cache.Entry) (Product, error) {
	if id == shortLived {
		e.TTL = lifetime
	}
	row, wait := d.read(id)
	select {
	case <-time.After(wait):
		return row, nil
	case <-ctx.Done():
		return Product{}, ctx.Err()
	}
}

func (d *database) read(id int) (Product, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queries++
	if d.started != nil {
		close(d.started)
		d.started = nil
	}
	return d.rows[id], d.wait
}

// nextQuery returns a channel that is closed when the next query has read its
// row.
func (d *database) nextQuery() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = make(chan struct{})
	return d.started
}

func (d *database) setPrice(id, cents int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	row := d.rows[id]
	row.Cents = cents
	d.rows[id] = row
}

func (d *database) asked() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queries
}

func (d *database) delay() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wait
}

func (d *database) setDelay(wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wait = wait
}
