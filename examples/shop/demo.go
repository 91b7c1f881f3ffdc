package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// demo is a visitor of the shop who tells what he sees.
type demo struct {
	shop    *shop
	address string
	out     io.Writer
	plain   bool
}

// runDemo serves the shop to itself and prints a tour of it.
func runDemo(ctx context.Context, c config, out io.Writer, plain bool) (err error) {
	c.totals = time.Hour // what is refreshed in the background is not to be counted
	s, err := openShop(ctx, c)
	defer func() { err = errors.Join(err, s.closeWithin(5*time.Second)) }()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	d := &demo{shop: s, address: "http://" + listener.Addr().String(), out: out, plain: plain}
	for _, part := range []func(ctx context.Context) error{d.catalogue, d.inventory, d.stopped, d.letters} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// catalogue shows cache-aside, and lists that follow it.
func (d *demo) catalogue(ctx context.Context) error {
	d.title("Catalogue: cache-aside, lists by Query")
	if err := d.shop.warm(ctx, func(int, int) {}); err != nil {
		return err
	}
	d.step("warmed", "%s", asked(d.shop.database.calls.Load()))
	if _, err := d.get(ctx, "the list of books, at first", "/?category=Books"); err != nil {
		return err
	}
	if _, err := d.get(ctx, "the same again", "/?category=Books"); err != nil {
		return err
	}
	if err := d.post(ctx, "/product/3", "name", "Cookbook No. 1", "category", "Garden", "price", "12.34"); err != nil {
		return err
	}
	d.step("a book moves to the garden", "saved")
	books, err := d.get(ctx, "the list of books", "/?category=Books")
	if err != nil {
		return err
	}
	garden, err := d.get(ctx, "the list of the garden", "/?category=Garden")
	if err != nil {
		return err
	}
	d.step("it is among the books, in the garden", "%t, %t", strings.Contains(books, "/product/3\""), strings.Contains(garden, "/product/3\""))
	return nil
}

// inventory shows write-through.
func (d *demo) inventory(ctx context.Context) error {
	d.title("Inventory: write-through")
	before, err := d.shop.stock.Find(ctx, 5)
	if err != nil {
		return err
	}
	if err := d.post(ctx, "/product/5/stock", "by", "-1"); err != nil {
		return err
	}
	calls := d.shop.database.calls.Load()
	after, err := d.shop.stock.Find(ctx, 5)
	if err != nil {
		return err
	}
	d.step("one is bought", "%d left of %d, read back with %s", after.Left, before.Left, asked(d.shop.database.calls.Load()-calls))
	err = d.post(ctx, "/product/5/stock", "by", "-1000")
	d.step("a thousand more", "%v", err)
	return nil
}

// stopped shows write-behind while the database is down.
func (d *demo) stopped(ctx context.Context) error {
	d.title("Views: write-behind, while the database is stopped")
	if err := d.shop.views.queue.Flush(ctx); err != nil {
		return err
	}
	before, err := d.shop.views.queue.Stats(ctx)
	if err != nil {
		return err
	}
	if err := d.post(ctx, "/operations/database", "do", "stop"); err != nil {
		return err
	}
	const visits = 50
	for range visits {
		if err := d.visit(ctx, "/product/7"); err != nil {
			return err
		}
	}
	d.step("a product is looked at", "%d times, from the cache", visits)
	err = d.post(ctx, "/product/7", "name", "Radio No. 2", "category", "Audio", "price", "1")
	d.step("an edit, which is not written behind", "%v", err)
	held, err := d.shop.views.queue.Stats(ctx)
	if err != nil {
		return err
	}
	d.step("the queue", "accepted %d, written %d, waiting %t", held.Queue.Enqueued-before.Queue.Enqueued, held.Written-before.Written, held.Queue.Queued > 0)
	if err := d.post(ctx, "/operations/database", "do", "start"); err != nil {
		return err
	}
	return d.drained(ctx, "started again", 7)
}

// letters shows a dead letter.
func (d *demo) letters(ctx context.Context) error {
	d.title("A write that the database refuses for good")
	if err := d.post(ctx, "/operations/database", "do", "refuse", "product", "9"); err != nil {
		return err
	}
	if err := d.visit(ctx, "/product/9"); err != nil {
		return err
	}
	if err := d.drained(ctx, "a view is refused", 9); err != nil {
		return err
	}
	if err := d.post(ctx, "/operations/database", "do", "refuse", "product", "0"); err != nil {
		return err
	}
	st, err := d.shop.views.status(ctx)
	if err != nil {
		return err
	}
	for _, l := range st.Letters {
		d.step("dead letter", "%s after %d attempt: %s", l.Value, l.Attempts, l.Reason)
		if err := d.post(ctx, "/letters", "entity", l.Entity, "key", l.Key, "sequence", fmt.Sprint(l.Sequence), "do", "retry"); err != nil {
			return err
		}
	}
	return d.drained(ctx, "retried", 9)
}

// drained waits for the queue, and shows what the source has then.
func (d *demo) drained(ctx context.Context, what string, product int) error {
	if err := d.shop.views.queue.Flush(ctx); err != nil {
		return err
	}
	st, err := d.shop.views.status(ctx)
	if err != nil {
		return err
	}
	views, err := d.shop.views.source.FindMany(ctx, []int{product})
	if err != nil {
		return err
	}
	d.step(what, "%d waiting, %d dead, the database has %d views", st.Queue.Queue.Queued, st.Queue.Queue.Dead, views[product].Count)
	return nil
}

func (d *demo) title(text string) { fmt.Fprintf(d.out, "\n%s\n", text) }

func (d *demo) step(what, format string, args ...any) {
	fmt.Fprintf(d.out, "  %-38s %s\n", what, fmt.Sprintf(format, args...))
}

func asked(calls int64) string {
	if calls == 1 {
		return "1 call to the database"
	}
	return fmt.Sprintf("%d calls to the database", calls)
}

// get prints what a page costs, and returns it.
func (d *demo) get(ctx context.Context, what, path string) (string, error) {
	calls, began := d.shop.database.calls.Load(), time.Now()
	body, err := d.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	text := asked(d.shop.database.calls.Load() - calls)
	if !d.plain {
		text += ", " + took(time.Since(began))
	}
	d.step(what, "%s", text)
	return body, nil
}

func (d *demo) visit(ctx context.Context, path string) error {
	_, err := d.do(ctx, http.MethodGet, path, nil)
	return err
}

func (d *demo) post(ctx context.Context, path string, fields ...string) error {
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	_, err := d.do(ctx, http.MethodPost, path, form)
	return err
}

// do returns the page's text. One that is no success is an error.
func (d *demo) do(ctx context.Context, method, path string, form url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = errors.New("refused: " + answer.Status)
	}
	return string(body), err
}
