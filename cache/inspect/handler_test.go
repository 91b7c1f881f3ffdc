package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
)

func TestWhoIsNotAuthorizedSeesAndDoesNothing(t *testing.T) {
	b := newBackend(t, "secret-key")
	var asked int
	refuseAll := func(*http.Request) bool { asked++; return false }
	for name, opts := range map[string]*inspect.Options{
		"no options":   nil,
		"no Authorize": {ShowKeys: true},
		"refused":      {Authorize: refuseAll, ShowKeys: true},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := inspect.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			defer i.Close(t.Context())
			add(t, i, inspect.Source{Name: "secret-name", Cache: b})
			for _, w := range []*httptest.ResponseRecorder{
				get(i, "/"), get(i, "/data.json"), post(i, nil, "do", "expire-all", "cache", "secret-name"),
			} {
				wantStatus(t, w, http.StatusForbidden)
				if strings.Contains(w.Body.String(), "secret") {
					t.Errorf("the refusal says too much: %s", w.Body)
				}
			}
			if len(b.expired) > 0 {
				t.Errorf("expired %v", b.expired)
			}
		})
	}
	if asked != 3 {
		t.Errorf("Authorize was asked %d times, want once for each of 3 requests", asked)
	}
}

func TestAuthorizeMayAllowLookingOnly(t *testing.T) {
	b := newBackend(t)
	i := open(t, inspect.Options{Authorize: func(r *http.Request) bool { return r.Method == http.MethodGet }})
	add(t, i, inspect.Source{Name: "products", Cache: b})
	wantStatus(t, get(i, "/"), http.StatusOK)
	wantStatus(t, post(i, nil, "do", "expire-all", "cache", "products"), http.StatusForbidden)
}

func TestOnlyGetHeadAndPost(t *testing.T) {
	i := open(t, inspect.Options{})
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, "PURGE"} {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		wantStatus(t, w, http.StatusMethodNotAllowed)
		if got := w.Header().Get("Allow"); got != "GET, HEAD, POST" {
			t.Errorf("%s: got Allow %q", method, got)
		}
	}
	w := httptest.NewRecorder()
	i.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	wantStatus(t, w, http.StatusOK)
}

func TestAfterCloseThereIsNothing(t *testing.T) {
	i := open(t, inspect.Options{})
	if err := i.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, get(i, "/"), http.StatusServiceUnavailable)
	wantStatus(t, post(i, nil, "do", "expire-all"), http.StatusServiceUnavailable)
	if err := i.Add(inspect.Source{Name: "late", Cache: newBackend(t)}); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("Add: got %v, want ErrClosed", err)
	}
	panel := inspect.Panel{Title: "late", Rows: func(context.Context) ([]inspect.Row, error) { return nil, nil }}
	if err := i.AddPanel(panel); !errors.Is(err, cache.ErrClosed) {
		t.Errorf("AddPanel: got %v, want ErrClosed", err)
	}
	if err := i.Close(t.Context()); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestPostsOfOtherOriginsAreRefused: whoever is authorized by a cookie must not be
// made to act by a page of somebody else's.
func TestPostsOfOtherOriginsAreRefused(t *testing.T) {
	form := []string{"do", "expire-all", "cache", "products"}
	tests := []struct {
		name   string
		header http.Header
		want   int
	}{
		{"another site", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		{"another origin of this site", http.Header{"Sec-Fetch-Site": {"same-site"}}, http.StatusForbidden},
		{"an old browser, another origin", http.Header{"Origin": {"http://evil.example"}}, http.StatusForbidden},
		{"a sandboxed frame", http.Header{"Origin": {"null"}}, http.StatusForbidden},
		{"the page itself", http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusSeeOther},
		{"an old browser, the page itself", http.Header{"Origin": {"http://example.com"}}, http.StatusSeeOther},
		{"no browser", nil, http.StatusSeeOther},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBackend(t)
			i := open(t, inspect.Options{})
			add(t, i, inspect.Source{Name: "products", Cache: b})
			wantStatus(t, post(i, test.header, form...), test.want)
			if done := len(b.expired) > 0; done != (test.want == http.StatusSeeOther) {
				t.Errorf("expired: got %v", done)
			}
		})
	}
}

// TestNothingChangesByGet: a link or an image must not act.
func TestNothingChangesByGet(t *testing.T) {
	b := newBackend(t)
	i := open(t, inspect.Options{ShowKeys: true})
	add(t, i, inspect.Source{Name: "products", Cache: b})
	set(t, b, "k")
	wantStatus(t, get(i, "/?do=expire-all&cache=products"), http.StatusOK)
	wantStatus(t, get(i, "/?do=remove&cache=products&key=k"), http.StatusOK)
	if _, found, _ := b.Get(t.Context(), "k"); !found || len(b.expired) > 0 {
		t.Errorf("got found %v, expired %v", found, b.expired)
	}
	// Nor does what stands in a POST's address.
	r := httptest.NewRequest(http.MethodPost, "/?do=expire-all&cache=products", nil)
	w := httptest.NewRecorder()
	i.ServeHTTP(w, r)
	wantStatus(t, w, http.StatusNotFound)
}

func set(t testing.TB, c cache.Cache, key string) {
	t.Helper()
	if err := c.Set(t.Context(), key, []byte("v"), cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestExpire(t *testing.T) {
	prices, catalogue := cache.RegionToken("prices"), cache.RegionToken("catalogue")
	b := newBackend(t)
	i := open(t, inspect.Options{})
	add(t, i, inspect.Source{Name: "other", Cache: newBackend(t)})
	add(t, i, inspect.Source{Name: "products", Cache: b, Regions: []inspect.Region{{"catalogue", catalogue}, {"prices", prices}}})

	w := post(i, nil, "do", "expire", "cache", "products", "region", "prices")
	wantStatus(t, w, http.StatusSeeOther)
	if got := w.Header().Get("Location"); got != "?" {
		t.Errorf("got Location %q, want one relative to the page", got)
	}
	wantStatus(t, post(i, nil, "do", "expire-all", "cache", "products"), http.StatusSeeOther)
	if want := []cache.Token{prices, cache.GlobalToken()}; !slices.Equal(b.expired, want) {
		t.Errorf("got %v, want %v", b.expired, want)
	}

	for _, form := range [][]string{
		{"do", "expire", "cache", "products", "region", "unknown"},
		{"do", "expire", "cache", "unknown", "region", "prices"},
		{"do", "expire", "cache", "other", "region", "prices"},
		{"do", "unknown", "cache", "products"},
		{},
	} {
		wantStatus(t, post(i, nil, form...), http.StatusNotFound)
	}
	if len(b.expired) != 2 {
		t.Errorf("got %v", b.expired)
	}

	b.err = cache.ErrUnavailable
	w = post(i, nil, "do", "expire", "cache", "products", "region", "prices")
	wantStatus(t, w, http.StatusInternalServerError)
	body := get(i, "/").Body.String()
	for _, want := range []string{"expire prices of products", "expire all regions of products", "cache unavailable"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not tell: %s", want)
		}
	}
}

func TestTheLogOfActionsIsBounded(t *testing.T) {
	i := open(t, inspect.Options{})
	add(t, i, inspect.Source{Name: "products", Cache: newBackend(t)})
	for range 50 {
		wantStatus(t, post(i, nil, "do", "expire-all", "cache", "products"), http.StatusSeeOther)
	}
	if got := strings.Count(get(i, "/").Body.String(), "expire all regions of products"); got != 20 {
		t.Errorf("got %d lines, want 20", got)
	}
}

func TestALongFormIsRefused(t *testing.T) {
	i := open(t, inspect.Options{ShowKeys: true})
	add(t, i, inspect.Source{Name: "products", Cache: newBackend(t)})
	wantStatus(t, post(i, nil, "do", "remove", "cache", "products", "key", strings.Repeat("k", 64<<10)), http.StatusBadRequest)
}

func TestExplainAndRemove(t *testing.T) {
	b := newBackend(t)
	typed := cache.NewTyped[string](b, nil)
	i := open(t, inspect.Options{ShowKeys: true})
	add(t, i, inspect.Source{Name: "typed", Cache: b, Explain: typed.Explain})
	add(t, i, inspect.Source{Name: "bare", Cache: b})
	if err := typed.Set(t.Context(), "product:7", "v", cache.EntryOptions{}); err != nil {
		t.Fatal(err)
	}
	explain := func(source, key string, want ...string) {
		t.Helper()
		w := post(i, nil, "do", "explain", "cache", source, "key", key)
		wantStatus(t, w, http.StatusOK)
		_, answer, _ := strings.Cut(w.Body.String(), `<div id="explained">`)
		answer, _, _ = strings.Cut(answer, "</div>")
		for _, text := range want {
			if !strings.Contains(answer, text) {
				t.Errorf("%s: got %s, want %q in it", source, answer, text)
			}
		}
		if source == "bare" && strings.Contains(answer, "served") {
			t.Errorf("the cache cannot tell what is served: %s", answer)
		}
	}
	explain("typed", "product:7", "is served", "<td>value</td>", " left")
	explain("bare", "product:7", "<td>object</td>")
	wantStatus(t, post(i, nil, "do", "remove", "cache", "typed", "key", "product:7"), http.StatusSeeOther)
	if _, found, _ := b.Get(t.Context(), "product:7"); found {
		t.Error("the key is still there")
	}
	explain("typed", "product:7", "is not served", "<td>absent</td>")
	explain("bare", "product:7", "<td>absent</td>")
	explain("typed", "", "cannot be explained", "invalid key")
	if body := get(i, "/").Body.String(); strings.Contains(body, "product:7") || !strings.Contains(body, "remove a key of typed") {
		t.Error("the log of actions tells the key, or nothing")
	}
	wantStatus(t, post(i, nil, "do", "explain", "cache", "unknown", "key", "k"), http.StatusNotFound)
}

func TestHiddenKeysCannotBeAskedFor(t *testing.T) {
	b := newBackend(t)
	i := open(t, inspect.Options{})
	add(t, i, inspect.Source{Name: "products", Cache: b})
	set(t, b, "k")
	wantStatus(t, post(i, nil, "do", "explain", "cache", "products", "key", "k"), http.StatusForbidden)
	wantStatus(t, post(i, nil, "do", "remove", "cache", "products", "key", "k"), http.StatusForbidden)
	if _, found, _ := b.Get(t.Context(), "k"); !found {
		t.Error("the key was removed")
	}
	if strings.Contains(get(i, "/").Body.String(), "One key") {
		t.Error("the page has the form")
	}
}

func TestData(t *testing.T) {
	b := newBackend(t, "k")
	i := open(t, inspect.Options{Title: "shop"})
	add(t, i, inspect.Source{Name: "products", Cache: b, Regions: []inspect.Region{{"prices", cache.RegionToken("prices")}}})
	set(t, b, "k")
	w := get(i, "/debug/larder/data.json")
	wantStatus(t, w, http.StatusOK)
	var data struct {
		Title    string
		Interval float64 `json:"interval_seconds"`
		Caches   []struct {
			Name     string
			Regions  []string
			Counters []struct {
				Name  string
				Value int64
				Rate  *float64 `json:"per_second"`
			}
			Plots []struct{ Title, Unit string }
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &data); err != nil {
		t.Fatal(err)
	}
	if data.Title != "shop" || data.Interval != 10 || len(data.Caches) != 1 || data.Caches[0].Name != "products" {
		t.Fatalf("got %+v", data)
	}
	c := data.Caches[0]
	if !slices.Equal(c.Regions, []string{"prices"}) || c.Plots[0].Title != "Hit ratio" || c.Plots[0].Unit != "ratio" {
		t.Errorf("got %+v", c)
	}
	for _, counter := range c.Counters {
		if counter.Name == "stores" && counter.Value == 1 {
			return
		}
	}
	t.Errorf("got %+v, want one store", c.Counters)
}
