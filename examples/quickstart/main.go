// Quickstart shows larder's main job in one screen: a slow source, and a cache
// in front of it that asks the source once and never serves what was
// invalidated.
//
//	go run ./examples/quickstart                        embedded, no server
//	go run ./examples/quickstart -redis localhost:6379  the same on a Redis
//
// With -redis it also shows what callers see while Redis is frozen.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/larder-go/larder"
	"github.com/larder-go/larder/cache"
)

func main() {
	redis := flag.String("redis", "", "address of a Redis to use instead of the embedded cache")
	plain := flag.Bool("plain", false, "leave out how long things took")
	flag.Parse()
	if err := run(*redis, &printer{out: os.Stdout, plain: *plain}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(redis string, p *printer) error {
	ctx := context.Background()
	url := "memory://"
	var server *proxy
	if redis != "" {
		var err error
		if server, err = newProxy(redis); err != nil {
			return err
		}
		defer server.close()
		url = "redis://" + server.addr() + "?prefix=larder-quickstart:"
	}
	c, err := larder.Open(url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()

	db := newDatabase()
	products := cache.NewLoading(c, db.find, nil)
	for id := range db.rows { // what an earlier run may have left in Redis
		if err := products.Remove(ctx, id); err != nil {
			return err
		}
	}
	show(ctx, p, products, db)
	if server != nil {
		showFrozen(ctx, p, products, db, server)
	}
	p.stats(c.Stats())
	return nil
}

// show is the tour that every backend takes.
func show(ctx context.Context, p *printer, products *cache.Loading[int, Product], db *database) {
	p.title("A source that takes %v to answer", db.delay())
	p.step("first call", func() string { return describe(products.Get(ctx, 1)) })
	p.step("second call", func() string { return describe(products.Get(ctx, 1)) })

	p.title("1,000 callers at once, nothing cached")
	p.step("all of them", func() string {
		before := db.asked()
		served := callers(1000, func() error { _, err := products.Get(ctx, 2); return err })
		return fmt.Sprintf("%d served by %d load", served, db.asked()-before)
	})

	p.title("An entry that lives for %v", lifetime)
	p.step("load it", func() string { return describe(products.Get(ctx, shortLived)) })
	p.step("hit", func() string { return describe(products.Get(ctx, shortLived)) })
	p.step("wait, and load again", func() string {
		<-time.After(lifetime)
		before := db.asked()
		return describe(products.Get(ctx, shortLived)) + fmt.Sprintf(", %d load", db.asked()-before)
	})

	p.title("The price changes while the old one is being loaded")
	p.step("update, then Remove", func() string {
		early := make(chan string)
		loading := db.nextQuery()
		go func() { early <- describe(products.Get(ctx, 3)) }()
		<-loading // the old row has been read, the answer is on its way
		db.setPrice(3, 499)
		if err := products.Remove(ctx, 3); err != nil {
			return err.Error()
		}
		late := describe(products.Get(ctx, 3))
		return fmt.Sprintf("early caller %s, late caller %s", <-early, late)
	})
	p.step("what stays cached", func() string { return describe(products.Get(ctx, 3)) })
}

// showFrozen holds every byte to and from Redis, as a server that hangs does.
func showFrozen(ctx context.Context, p *printer, products *cache.Loading[int, Product], db *database, server *proxy) {
	db.setDelay(time.Millisecond)
	p.title("Redis hangs; the source now answers in %v", db.delay())
	server.freeze()
	p.step("first call", func() string { return describe(products.Get(ctx, 1)) })
	p.step("a few more", func() string {
		served := 0
		for range 5 {
			if _, err := products.Get(ctx, 1); err == nil {
				served++
			}
		}
		return fmt.Sprintf("%d of 5 served by the source", served)
	})
	p.step("breaker open", func() string { return describe(products.Get(ctx, 1)) })
	p.step("Remove says so", func() string {
		if err := products.Remove(ctx, 1); errors.Is(err, cache.ErrUnavailable) || errors.Is(err, cache.ErrOutcomeUnknown) {
			return "an error: the caller knows, and can retry"
		}
		return "nothing"
	})
	server.thaw()
	p.step("Redis answers again", func() string {
		for {
			if _, found, err := products.Typed().Get(ctx, "Product-ByID-2"); err == nil && found {
				return "hits again"
			}
			<-time.After(5 * time.Millisecond)
		}
	})
}

// callers runs call n times at once and returns how often it worked.
func callers(n int, call func() error) (served int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			err := call()
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				served++
			}
		})
	}
	wg.Wait()
	return served
}

func describe(p Product, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s for %d.%02d", p.Name, p.Cents/100, p.Cents%100)
}
