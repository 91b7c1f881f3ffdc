// Shop is a small shop on a slow database, with a cache in front of it: web pages
// to list, search and edit, and to see what each pattern of package patterns does
// for them, also while the database is stopped.
//
//	go run ./examples/shop                                       on http://localhost:8080, nothing else needed
//	go run ./examples/shop -redis redis://localhost:6379/0       the cache on Redis, and near it; several
//	                                                             with different -addr share what they know
//	go run ./examples/shop -postgres postgres://localhost/shop   the data in PostgreSQL
//	go run ./examples/shop -redis ... -queue redis               what is written behind waits on Redis, which must
//	                                                             have appendonly yes
//	go run ./examples/shop -demo                                 a tour, printed; no page to look at
//
// The patterns are put together in wiring.go, which is the file to read first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	var c config
	addr := flag.String("addr", "localhost:8080", "address to serve at")
	flag.StringVar(&c.redis, "redis", "", "URL of a Redis to cache on, as in redis://localhost:6379/0")
	flag.StringVar(&c.postgres, "postgres", "", "DSN of a PostgreSQL to use instead of SQLite")
	flag.StringVar(&c.sqlite, "sqlite", "", "file of the SQLite database; empty: a temporary one, or with -redis larder-shop.db in the folder for temporary files")
	flag.StringVar(&c.queue, "queue", "", "where view counts wait: memory, table or redis; empty: in memory, or in a table of a database that was named or is shared")
	flag.DurationVar(&c.delay, "delay", 50*time.Millisecond, "what each call to the database takes longer")
	demo := flag.Bool("demo", false, "take a tour of the shop, print it and end")
	plain := flag.Bool("plain", false, "the same without how long things took")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *demo || *plain {
		err = runDemo(ctx, c, os.Stdout, *plain)
	} else {
		err = run(ctx, c, *addr, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the shop until ctx ends.
func run(ctx context.Context, c config, addr string, out io.Writer) (err error) {
	s, err := openShop(ctx, c)
	defer func() { err = errors.Join(err, s.closeWithin(5*time.Second)) }()
	if err != nil {
		return err
	}
	if err := s.warm(ctx, progressBar(out)); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The shop is at http://%s, what it caches at http://%[1]s/debug/larder/\n", listener.Addr())
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(within)
}

// closeWithin closes the shop. What a stopped database does not take in time is
// reported: from a queue in memory it is lost.
func (s *shop) closeWithin(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return s.close(ctx)
}
