package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/internal/browser"
	"github.com/larder-go/larder/internal/redistest"
)

// serveShop serves a shop until the test ends.
func serveShop(t *testing.T, c config) (*shop, string) {
	t.Helper()
	s, err := openShop(t.Context(), c)
	t.Cleanup(func() {
		if err := s.closeWithin(10 * time.Second); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.handler())
	t.Cleanup(server.Close)
	return s, server.URL
}

// text is an expression for the text of what a CSS selector finds.
func text(selector string) string {
	return fmt.Sprintf("document.querySelector(%q).textContent.trim()", selector)
}

// submit clicks a button and waits for the page that comes of it.
func submit(page *browser.Page, selector string) {
	browser.Eval[bool](page, `window.isOld = true`)
	page.Click(selector)
	page.WaitFor(`!window.isOld && document.readyState === "complete"`)
}

func TestAnEditShowsInListsAtOnce(t *testing.T) {
	s, address := serveShop(t, config{delay: 20 * time.Millisecond})
	if err := s.warm(t.Context(), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	page := browser.Start(t)
	page.Open(address + "/?category=Books")
	page.Open(address + "/?category=Books")
	if got := page.Text("#calls"); got != "0" {
		t.Errorf("the second look at a list made %s calls to the database, want 0", got)
	}
	page.Screenshot("catalogue")

	page.Open(address + "/product/3")
	browser.Eval[bool](page, `document.querySelector("[name=name]").value = "<b>Almanac</b>", document.querySelector("[name=price]").value = "77.70", true`)
	submit(page, "#save")
	page.WaitFor(text("h1") + ` === "<b>Almanac</b>" && document.readyState === "complete"`)
	page.Screenshot("product")
	page.Open(address + "/?category=Books")
	if got := page.Text("#product-3"); !strings.Contains(got, "<b>Almanac</b>") || !strings.Contains(got, "77.70") {
		t.Errorf("the list has %q, want the edited product", got)
	}
	page.Open(address + "/?q=almanac")
	if got := page.Text("#products tbody"); !strings.Contains(got, "77.70") {
		t.Errorf("the search found %q, want the edited product", got)
	}

	before := page.Text("#product-3 td:nth-child(4)")
	page.Open(address + "/product/3")
	submit(page, "#buy")
	page.WaitFor(text("#left") + " === String(" + before + " - 1)")

	page.Open(address + "/customers?q=oslo")
	page.Screenshot("customers")
}

func TestStopTheDatabaseAndTheQueueHolds(t *testing.T) {
	s, address := serveShop(t, config{delay: 2 * time.Millisecond})
	if err := s.warm(t.Context(), func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	page := browser.Start(t)
	page.Open(address + "/product/7")
	page.Open(address + "/operations")
	page.WaitFor(text("#queued") + ` === "0" && ` + text("#written") + ` === "1"`)
	submit(page, "#stop")
	page.WaitFor(text("#health") + ` === "database stopped"`)
	for range 5 {
		page.Open(address + "/product/7")
	}
	page.Open(address + "/product/8") // cached by warming, too
	submit(page, "#save")
	page.WaitFor(text("#notice") + `.includes("stopped")`)
	if problems := page.Problems(); len(problems) != 1 || !strings.Contains(problems[0], "503") {
		t.Errorf("the browser complained of %q, want 503 only", problems)
	}
	page.Open(address + "/operations")
	page.WaitFor(`Number(` + text("#queued") + `) >= 2 && ` + text("#accepted") + ` === "7"`)
	if got := page.Text("#written"); got != "1" {
		t.Errorf("the stopped database took %s writes, want 1", got)
	}
	page.PreferColors("dark")
	page.Screenshot("stopped")

	browser.Eval[bool](page, `window.sameDocument = true`)
	submit(page, "#start")
	page.WaitFor(text("#health") + ` === "database running"`)
	page.WaitFor(text("#queued") + ` === "0"`) // the page refreshes itself
	found, err := s.views.source.FindMany(t.Context(), []int{7, 8})
	if err != nil || found[7].Count != 6 || found[8].Count != 1 {
		t.Errorf("the database has the views %v, %v; want 6 and 1", found, err)
	}
}

func TestDeadLettersAreRetriedAndDropped(t *testing.T) {
	s, address := serveShop(t, config{})
	page := browser.Start(t)
	refuse := func(product int, what string) {
		page.Open(address + "/operations")
		browser.Eval[bool](page, fmt.Sprintf(`document.querySelector("[name=product]").value = %d, true`, product))
		submit(page, "#refuse")
		page.WaitFor(text("#events li") + fmt.Sprintf(`.match(/refuses .*%s$/)`, what))
	}
	views := func() int {
		found, err := s.views.source.FindMany(t.Context(), []int{9})
		if err != nil {
			t.Fatal(err)
		}
		return found[9].Count
	}
	for _, test := range []struct {
		do   string
		want int
	}{{"retry", 1}, {"drop", 1}} {
		refuse(9, "product 9")
		page.Open(address + "/product/9")
		page.Open(address + "/letters")
		page.WaitFor(text("#letters tbody") + `.includes("views 9")`) // it comes by itself
		page.Screenshot("letters")
		refuse(0, "nothing")
		page.Open(address + "/letters")
		submit(page, "button[value="+test.do+"]")
		page.WaitFor(text("#letters tbody") + ` === "None."`)
		if err := s.views.queue.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := views(); got != test.want {
			t.Errorf("after %s: the database has %d views, want %d", test.do, got, test.want)
		}
	}
}

func TestPatternsAreSwitchedAndCompared(t *testing.T) {
	s, address := serveShop(t, config{delay: 5 * time.Millisecond})
	page := browser.Start(t)
	page.Open(address + "/operations")
	choose := func(entity, pattern string) {
		submit(page, fmt.Sprintf("#entity-%s button[value=%q]", entity, pattern))
		page.WaitFor(fmt.Sprintf("%s.includes(%q)", text("#events li"), entity+": "+pattern))
	}
	choose("catalogue", uncached)
	submit(page, "#compare")
	page.WaitFor(text("#events li") + `.includes("both ways")`)
	submit(page, "#compare")
	page.WaitFor(text("#events li") + `.includes("2 times")`)
	ratio := func(entity string) int {
		return browser.Eval[int](page, fmt.Sprintf(`document.querySelector("#entity-%s meter").value`, entity))
	}
	if got := ratio("catalogue"); got != 0 {
		t.Errorf("without a cache %d %% were read without the database, want 0", got)
	}
	for _, p := range []string{through, aside} {
		choose("catalogue", p)
		page.Open(address + "/product/2")
		submit(page, "#save")
		page.Open(address + "/operations")
	}
	for range 3 {
		submit(page, "#compare")
	}
	if got := ratio("catalogue"); got < 60 {
		t.Errorf("with cache-aside %d %% were read without the database, want 60 or more", got)
	}
	page.Screenshot("operations")
	page.Resize(390, 900)
	page.Screenshot("narrow")
	page.Resize(1280, 900)
	page.Open(address + "/debug/larder/")
	page.WaitFor(`document.body.textContent.includes("Write-behind of views")`)
	page.Screenshot("inspector")

	// Who leaves the write-behind with something in the queue would forget it.
	s.database.stopped.Store(true)
	page.Open(address + "/product/2")
	page.Open(address + "/operations")
	page.Click("#entity-views button[value=" + aside + "]")
	page.WaitFor(text("#notice") + `.includes("queue")`)
	if problems := page.Problems(); len(problems) != 1 || !strings.Contains(problems[0], "409") {
		t.Errorf("the browser complained of %q, want 409 only", problems)
	}
	s.database.stopped.Store(false)
	page.Open(address + "/operations")
	choose("views", aside)
}

// Two instances share a Redis and a database, and each holds values of its own
// near by: what one edits the other shows within the near cache's bound.
func TestTwoInstancesAgree(t *testing.T) {
	for _, place := range []string{inDatabase, onRedis} {
		t.Run("queue in "+place, func(t *testing.T) {
			redis := redistest.Server(t, "--appendonly", "yes")
			agree(t, config{redis: "redis://" + redis.Addr() + "/0", sqlite: filepath.Join(t.TempDir(), "shop.db"),
				queue: place, delay: 5 * time.Millisecond})
		})
	}
}

func agree(t *testing.T, c config) {
	one, first := serveShop(t, c)
	two, second := serveShop(t, c)
	for _, s := range []*shop{one, two} {
		if err := s.warm(t.Context(), func(int, int) {}); err != nil {
			t.Fatal(err)
		}
	}
	page := browser.Start(t)
	for range 2 {
		page.Open(second + "/?category=Books")
	}
	page.Open(first + "/product/3")
	browser.Eval[bool](page, `document.querySelector("[name=name]").value = "Almanac", document.querySelector("[name=category]").value = "Garden", true`)
	submit(page, "#save")
	page.WaitFor(text("h1") + ` === "Almanac"`)
	page.Open(first + "/?category=Garden")
	if got := page.Text("#products tbody"); !strings.Contains(got, "Almanac") {
		t.Errorf("the instance that wrote lists %q, want the almanac among them", got)
	}
	sees := func(path, want string, has bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for {
			page.Open(second + path)
			if strings.Contains(page.Text("#products tbody"), want) == has {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("the other instance: %q in %s: want %t", want, path, has)
			}
		}
	}
	sees("/?category=Books", "Almanac", false)
	sees("/?category=Garden", "Almanac", true)

	// Views of both go through one queue in the shared database, once each.
	for _, address := range []string{first, second, first} {
		page.Open(address + "/product/5")
	}
	for _, s := range []*shop{one, two} {
		if err := s.views.queue.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := two.views.Find(t.Context(), 5); err != nil || v.Count != 3 {
		t.Errorf("views: got %v, %v; want 3", v, err)
	}
	page.Open(second + "/debug/larder/")
	page.WaitFor(`document.body.textContent.includes("Near cache")`)
	n, ok := cache.As[*near.Cache](two.cache)
	if !ok || n.NearStats().Hits == 0 {
		t.Error("nothing was read near by")
	}
	page.Screenshot("near")
}
