package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
	"github.com/larder-go/larder/internal/browser"
	"github.com/larder-go/larder/memory"
	"github.com/larder-go/larder/region"
)

const hostile = `<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">`

// shop is a service that mounts an inspector of one cache.
type shop struct {
	address  string
	products *cache.Typed[string]
	prices   region.Region
	retried  atomic.Int32
}

// ranked is a memory cache that tells of the use of one key.
type ranked struct{ *memory.Cache }

func (ranked) EachUsage(yield func(key string, weight int64, hits uint64) bool) {
	_ = yield(hostile, 2048, 17)
}

func newShop(t *testing.T) *shop {
	t.Helper()
	inspector, err := inspect.New(&inspect.Options{
		Authorize: func(r *http.Request) bool { return true },
		Title:     "shop " + hostile, Interval: 100 * time.Millisecond, ShowKeys: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	products, err := memory.New(&memory.Options{Observer: inspector.ObserverOf("products")})
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{products: cache.NewTyped[string](products, nil)}
	regions, err := region.New(products)
	if err != nil {
		t.Fatal(err)
	}
	s.prices = regions.Named("prices")
	if err := inspector.Add(inspect.Source{
		Name: "products", Cache: ranked{products}, Explain: s.products.Explain,
		Regions: []inspect.Region{{Name: "prices", Token: s.prices.Token()}},
	}); err != nil {
		t.Fatal(err)
	}
	retry := func(context.Context, string) error { s.retried.Add(1); return nil }
	if err := inspector.AddPanel(inspect.Panel{
		Title: "Queue",
		Rows: func(context.Context) ([]inspect.Row, error) {
			return []inspect.Row{{Name: "update of", Key: "product:7", Value: "failed", Bad: true, ID: "1"}}, nil
		},
		Actions: []inspect.Action{{Name: "Retry", OnRows: true, Run: retry}},
	}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/larder/", http.StripPrefix("/debug/larder", inspector))
	server := httptest.NewServer(mux)
	s.address = server.URL + "/debug/larder/"
	t.Cleanup(func() {
		server.Close()
		for _, end := range []func(context.Context) error{inspector.Close, products.Close} {
			if err := end(context.Background()); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
	})
	return s
}

// read reads key, which names the region of prices while it is loaded, and reports
// whether it had to be.
func (s *shop) read(t *testing.T, key string) (loaded bool) {
	t.Helper()
	_, err := s.products.GetOrCreateExclusive(t.Context(), key, func(_ context.Context, e *cache.Entry) (string, error) {
		loaded = true
		e.AddToken(s.prices.Token())
		return "value", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// counter is an expression for a number in the first table of the page.
func counter(name string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#cache0 tbody tr")].find(r => r.cells[0].textContent === %q).cells[1].textContent`, name)
}

func TestInspectorShowsAndRefreshes(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	s.read(t, "product:1")
	page.Open(s.address)
	page.WaitFor(counter("loads") + ` === "1"`)
	browser.Eval[bool](page, `window.sameDocument = true`)

	// The script refreshes the numbers and the plots in place.
	for range 9 {
		s.read(t, "product:1")
	}
	page.WaitFor(counter("hits") + ` === "9"`)
	page.WaitFor(`[...document.querySelectorAll("#cache0 figure")].every(f => f.querySelectorAll(".value").length >= 3)`)
	page.WaitFor(`document.querySelectorAll("#cache0 figure path.line1")[1].getTotalLength() > 0`)
	page.WaitFor(`document.querySelector("#cache0 figure:last-child h3").textContent === "Duration: load"`)
	if !browser.Eval[bool](page, `window.sameDocument === true`) {
		t.Error("the page was loaded anew")
	}
	page.Screenshot("inspect")

	for _, address := range page.Requests() {
		if !strings.HasPrefix(address, s.address) && !strings.HasPrefix(address, "data:") {
			t.Errorf("the page asked for %s", address)
		}
	}
}

func TestInspectorShowsThatItCannotRefresh(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	page.Open(s.address)
	page.GoOffline()
	page.WaitFor(`document.querySelector("#refresh output").textContent.includes("not refreshed")`)
	page.Problems() // of being offline
}

func TestInspectorButtons(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	if !s.read(t, "product:1") || s.read(t, "product:1") {
		t.Fatal("the entry is not cached")
	}
	page.Open(s.address)
	page.Click(`input[value="expire"] ~ button`)
	page.WaitFor(`document.querySelector("#acts").textContent.includes("expire prices of products")`)
	if !s.read(t, "product:1") {
		t.Error("the region did not expire")
	}
	page.Click(`#panel0 tbody button`)
	page.WaitFor(`document.querySelector("#acts").textContent.includes("Retry: Queue")`)
	if got := s.retried.Load(); got != 1 {
		t.Errorf("retried %d times, want once", got)
	}
	// Loading the page again is no second click.
	page.Reload()
	page.WaitFor(`document.querySelectorAll("#acts tbody tr").length === 2`)
	if got := s.retried.Load(); got != 1 {
		t.Errorf("retried %d times, want once", got)
	}
}

func TestInspectorExplainsAKey(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	s.read(t, "product:1")
	page.Open(s.address)
	page.Type(`input[name="key"]`, "product:1\n")
	if got := page.Text("#explained"); !strings.Contains(got, "product:1 is served") {
		t.Errorf("got %q", got)
	}
	// What was found out stays when the numbers are refreshed, and the key is in no
	// address.
	s.read(t, "product:1")
	page.WaitFor(counter("hits") + ` === "1"`)
	page.Text("#explained")
	for _, address := range page.Requests() {
		if strings.Contains(address, "product") {
			t.Errorf("the browser asked for %s", address)
		}
	}
	page.Click(`button[value="remove"]`)
	page.WaitFor(`document.querySelector("#acts").textContent.includes("remove a key of products")`)
	if !s.read(t, "product:1") {
		t.Error("the key was not removed")
	}
}

func TestInspectorRunsNoMarkupFromNames(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	page.Open(s.address)
	page.Type(`input[name="key"]`, hostile+"\n")
	if got := page.Text("#explained"); !strings.Contains(got, hostile) {
		t.Errorf("got %q, want the key as it is", got)
	}
	if got := page.Text("#top0 .key"); got != hostile {
		t.Errorf("got %q, want %q", got, hostile)
	}
	if browser.Eval[bool](page, `window.hacked !== undefined`) {
		t.Error("a name ran as a script")
	}
}

func TestInspectorWorksWithoutScript(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	page.ForbidScripts()
	s.read(t, "product:1")
	page.Open(s.address)
	if got := page.Text("#cache0 table"); !strings.Contains(got, "loads") {
		t.Errorf("got %q", got)
	}
	drawn := browser.Eval[bool](page, `document.querySelectorAll("#cache0 svg").length > 0`)
	offered := browser.Eval[bool](page, `!document.querySelector("#refresh").hidden`)
	if !drawn || offered {
		t.Errorf("drawn %v, want true; refreshing offered %v, want false", drawn, offered)
	}
	page.Click(`input[value="expire-all"] ~ button`)
	if got := page.Text("#acts td + th"); got != "expire all regions of products" {
		t.Errorf("got %q", got)
	}
	if !s.read(t, "product:1") {
		t.Error("the regions did not expire")
	}
}

// TestInspectorRefusesOtherPages: another origin's page sends the form as the
// inspector's own would.
func TestInspectorRefusesOtherPages(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	s.read(t, "product:1")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method="post" action="%s"><input name="do" value="expire-all"><input name="cache" value="products"><button>Win</button></form>
<iframe src="%s"></iframe>`, s.address, s.address)
	}))
	defer other.Close()
	page.Open(other.URL)
	framed := page.Problems()
	page.Click("button")
	page.WaitFor(`document.body.textContent.includes("cross-origin request refused")`)
	page.Problems() // of the refusal
	if s.read(t, "product:1") {
		t.Error("another page expired the regions")
	}
	if !strings.Contains(strings.Join(framed, " "), "frame") {
		t.Errorf("got %q, want the frame refused", framed)
	}
}

func TestInspectorIsReadable(t *testing.T) {
	s, page := newShop(t), browser.Start(t)
	s.read(t, "product:1")
	for _, scheme := range []string{"light", "dark"} {
		page.PreferColors(scheme)
		page.Open(s.address)
		page.Screenshot("inspect-" + scheme)
		for _, selector := range []string{"h1", "#process", "td", "tbody th", "button", "#panel0 .bad"} {
			if contrast := browser.Eval[float64](page, fmt.Sprintf(contrastOf, selector)); contrast < 4.5 {
				t.Errorf("%s: %s has a contrast of %.1f, want 4.5 or more", scheme, selector, contrast)
			}
		}
	}
	for _, width := range []int64{1280, 800, 390} {
		page.Resize(width, 900)
		page.Open(s.address)
		page.Screenshot(fmt.Sprint("inspect-", width))
		if over := browser.Eval[int](page, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			t.Errorf("%d pixels wide: the page is %d wider", width, over)
		}
	}
}

// contrastOf is an expression for the contrast of an element's text and the ground
// of the page, as WCAG computes it.
const contrastOf = `(() => {
	const luminance = color => {
		const [r, g, b] = color.match(/\d+/g).map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const text = luminance(getComputedStyle(document.querySelector(%q)).color);
	const ground = luminance(getComputedStyle(document.body).backgroundColor);
	return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
})()`
