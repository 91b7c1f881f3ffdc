package inspect_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
	"github.com/larder-go/larder/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func anyone(*http.Request) bool { return true }

// open returns an inspector that anyone may use, unless opts say otherwise, and
// that is closed when the test ends.
func open(t testing.TB, opts inspect.Options) *inspect.Inspector {
	t.Helper()
	if opts.Authorize == nil {
		opts.Authorize = anyone
	}
	i, err := inspect.New(&opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() {
		if err := i.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return i
}

// backend is a memory cache that notes which tokens were expired and ranks the
// keys that it is told.
type backend struct {
	*memory.Cache
	keys []string

	mu      sync.Mutex
	expired []cache.Token
	err     error // of ExpireTokens
}

func (b *backend) ExpireTokens(_ context.Context, tokens ...cache.Token) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expired = append(b.expired, tokens...)
	return b.err
}

func (b *backend) EachUsage(yield func(key string, weight int64, hits uint64) bool) {
	for n, key := range b.keys {
		if !yield(key, int64(100+n), uint64(n)) {
			return
		}
	}
}

func newBackend(t testing.TB, keys ...string) *backend {
	t.Helper()
	c, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &backend{Cache: c, keys: keys}
}

func add(t testing.TB, i *inspect.Inspector, s inspect.Source) {
	t.Helper()
	if err := i.Add(s); err != nil {
		t.Fatalf("Add: %v", err)
	}
}

func addPanel(t testing.TB, i *inspect.Inspector, p inspect.Panel) {
	t.Helper()
	if err := i.AddPanel(p); err != nil {
		t.Fatalf("AddPanel: %v", err)
	}
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

// post sends a form given as name, value, name, value.
func post(h http.Handler, header http.Header, pairs ...string) *httptest.ResponseRecorder {
	form := make(url.Values)
	for n := 0; n < len(pairs); n += 2 {
		form.Set(pairs[n], pairs[n+1])
	}
	r := httptest.NewRequest(http.MethodPost, "http://example.com/debug/larder/", strings.NewReader(form.Encode()))
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func wantStatus(t testing.TB, w *httptest.ResponseRecorder, want int) {
	t.Helper()
	if w.Code != want {
		t.Errorf("got status %d, want %d; body: %.300s", w.Code, want, w.Body)
	}
}

var _ inspect.Ranker = (*memory.Cache)(nil)
