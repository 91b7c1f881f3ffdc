package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/sqltest"
	"github.com/larder-go/larder/patterns"
)

func TestRunServesUntilItIsEnded(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, config{}, "localhost:0", in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http://\S+:\d+`).FindString(line)
	answer, err := http.Get(address + "/product/1")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v from %q; want a page", answer, err, address)
	}
	_ = answer.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the end: %v", err)
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	s, _ := serveShop(t, config{})
	for _, test := range []struct {
		name, method, path, from, host, site string
		want                                 int
	}{
		{"a page", "GET", "/", "192.0.2.1:99", "shop.example", "", 200},
		{"the inspector from here", "GET", "/debug/larder/", "127.0.0.1:99", "localhost:8080", "", 200},
		{"from here without a port", "GET", "/debug/larder/", "[::1]:99", "localhost", "", 200},
		{"from elsewhere", "GET", "/debug/larder/", "192.0.2.1:99", "localhost:8080", "", 403},
		{"from here by another name", "GET", "/debug/larder/", "127.0.0.1:99", "shop.example:8080", "", 403},
		{"a form of this page", "POST", "/operations/database?do=start", "127.0.0.1:99", "localhost", "same-origin", 303},
		{"a form of another page", "POST", "/operations/database?do=stop", "127.0.0.1:99", "localhost", "cross-site", 403},
		{"nonsense", "POST", "/operations/database?do=burn", "127.0.0.1:99", "localhost", "", 400},
		{"no such product", "GET", "/product/4711", "127.0.0.1:99", "localhost", "", 404},
		{"no number", "GET", "/product/x", "127.0.0.1:99", "localhost", "", 404},
		{"more than there is", "POST", "/product/1/stock?by=-999", "127.0.0.1:99", "localhost", "", 409},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.RemoteAddr, r.Host = test.from, test.host
		if test.site != "" {
			r.Header.Set("Sec-Fetch-Site", test.site)
		}
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: got %d, want %d", test.name, w.Code, test.want)
		}
	}
	if s.database.stopped.Load() {
		t.Error("a form of another page stopped the database")
	}
}

// What the database is given again, because a worker died before it could say that
// it was done, is not added again.
func TestViewsAreAddedOnce(t *testing.T) {
	s, _ := serveShop(t, config{})
	source := s.views.source.(viewsTable)
	sum := []patterns.Change[int, Views]{{ID: 1, Value: Views{1, 5}, Sequence: 100}}
	for i, want := range []error{nil, patterns.ErrDuplicate} {
		if errs := source.Apply(t.Context(), sum); !errors.Is(errs[0], want) {
			t.Errorf("Apply no. %d: got %v, want %v", i+1, errs[0], want)
		}
	}
	if got, err := source.Find(t.Context(), 1); err != nil || got.Count != 5 {
		t.Errorf("got %v, %v; want 5 views", got, err)
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	for name, c := range map[string]config{
		"no such queue":         {queue: "drawer"},
		"a queue without Redis": {queue: onRedis},
		"a queue of its own":    {redis: "redis://localhost:1/0", queue: inMemory, sqlite: filepath.Join(t.TempDir(), "shop.db")},
		"no URL":                {redis: ":", sqlite: filepath.Join(t.TempDir(), "shop.db")},
	} {
		s, err := openShop(t.Context(), c)
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
		if err := s.closeWithin(time.Second); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}

// Instances that find an empty database at once create and fill it once.
func TestInstancesThatStartTogether(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		startTogether(t, func() config { return config{sqlite: filepath.Join(t.TempDir(), "shop.db")} })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := sqltest.Postgres(t)
		startTogether(t, func() config { return config{postgres: server.Database(t).DSN} })
	})
}

func startTogether(t *testing.T, empty func() config) {
	for range 3 {
		c := empty()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s, err := openShop(t.Context(), c)
				if err != nil {
					t.Errorf("open: %v", err)
				} else if found, err := s.products.FindMany(t.Context(), []int{1, productCount}); len(found) != 2 {
					t.Errorf("found %d of 2 products, %v", len(found), err)
				}
				if err := s.closeWithin(10 * time.Second); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		all.Wait()
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "-", 1500: "1.5 µs", 2345 * time.Microsecond: "2.35 ms", 1234 * time.Millisecond: "1.2s",
	} {
		if got := took(d); got != want {
			t.Errorf("took(%v): got %q, want %q", d, got, want)
		}
	}
}
