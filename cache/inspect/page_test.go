package inspect_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
)

func TestKeysAreHashesUnlessShown(t *testing.T) {
	const secret = "user:jane@example.com"
	rows := func(context.Context) ([]inspect.Row, error) {
		return []inspect.Row{{Name: "update of", Key: secret, Value: "failed"}}, nil
	}
	pages := func(show bool) (page, data string) {
		i := open(t, inspect.Options{ShowKeys: show})
		add(t, i, inspect.Source{Name: "users", Cache: newBackend(t, "a", secret)})
		addPanel(t, i, inspect.Panel{Title: "queue", Rows: rows})
		if first, second := hashes(get(i, "/").Body.String()), hashes(get(i, "/").Body.String()); !slices.Equal(first, second) {
			t.Errorf("hashes differ from look to look: %v, %v", first, second)
		}
		return get(i, "/").Body.String(), get(i, "/data.json").Body.String()
	}
	page, data := pages(true)
	if !strings.Contains(page, secret) || !strings.Contains(data, secret) || len(hashes(page)) > 0 {
		t.Error("ShowKeys: the key is not shown")
	}
	page, data = pages(false)
	if strings.Contains(page, "jane") || strings.Contains(data, "jane") {
		t.Error("the key is shown")
	}
	found := hashes(page)
	if len(found) != 4 || found[0] != found[2] || found[0] != found[3] || found[0] == found[1] {
		t.Errorf("got %v, want one hash for the key wherever it stands, and another for the other key", found)
	}
	if other, _ := pages(false); hashes(other)[0] == found[0] {
		t.Error("another inspector has the same hash: it could be guessed")
	}
}

func hashes(page string) []string {
	return regexp.MustCompile(`#[0-9a-f]{12}\b`).FindAllString(page, -1)
}

func TestHostileNamesAreText(t *testing.T) {
	const hostile = `</script></title><script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	rows := func(context.Context) ([]inspect.Row, error) {
		return []inspect.Row{{Name: hostile, Key: hostile, Value: hostile, ID: hostile}}, errors.New(hostile)
	}
	act := inspect.Action{Name: hostile, OnRows: true, Run: func(context.Context, string) error { return errors.New(hostile) }}
	i := open(t, inspect.Options{Title: hostile, ShowKeys: true})
	add(t, i, inspect.Source{
		Name: hostile, Cache: newBackend(t, hostile), Regions: []inspect.Region{{hostile, cache.RegionToken(hostile)}},
	})
	addPanel(t, i, inspect.Panel{Title: hostile, Rows: rows, Actions: []inspect.Action{act}})
	i.Observe(t.Context(), cache.Event{Kind: cache.EventLoad, Layer: hostile, Op: hostile, Duration: 1})
	i.Observe(t.Context(), cache.Event{Kind: cache.EventBreaker, Layer: hostile, Detail: hostile})
	wantStatus(t, post(i, nil, "do", "panel", "panel", hostile, "action", hostile, "id", hostile), http.StatusInternalServerError)

	w := post(i, nil, "do", "explain", "cache", hostile, "key", hostile)
	wantStatus(t, w, http.StatusOK)
	body := w.Body.String()
	if n := strings.Count(body, "<script"); n != 1 || strings.Contains(body, "<img") {
		t.Errorf("markup got into the page: %d scripts", n)
	}
	if n := strings.Count(body, "&lt;script&gt;alert"); n < 15 {
		t.Errorf("the names are escaped %d times only: is this page what is meant?", n)
	}
	if body := get(i, "/data.json").Body.String(); strings.Contains(body, "<") {
		t.Errorf("data.json has markup: %s", body)
	}
}

func TestPolicyAllowsThisStyleAndThisScriptOnly(t *testing.T) {
	i := open(t, inspect.Options{})
	w := get(i, "/")
	policy := w.Header().Get("Content-Security-Policy")
	for _, part := range []struct{ directive, open, end string }{
		{"style-src", "<style>", "</style>"},
		{"script-src", "<script>", "</script>"},
	} {
		_, rest, _ := strings.Cut(w.Body.String(), part.open)
		text, _, _ := strings.Cut(rest, part.end)
		sum := sha256.Sum256([]byte(text))
		if want := part.directive + " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("got %q, want %q", policy, want)
		}
	}
	for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("got %q, want %q in it", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || regexp.MustCompile(`(?i) (style|on\w+)="`).MatchString(w.Body.String()) {
		t.Error("the page needs more than its policy should allow")
	}
	if found := regexp.MustCompile(`(src|href|url)[=(]`).FindAllString(w.Body.String(), -1); len(found) != 1 { // the icon
		t.Errorf("the page refers to %v", found)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestPanels(t *testing.T) {
	var ran []string
	run := func(name string) func(context.Context, string) error {
		return func(_ context.Context, id string) error { ran = append(ran, name+" "+id); return nil }
	}
	many := func(context.Context) ([]inspect.Row, error) {
		rows := make([]inspect.Row, 1500)
		for n := range rows {
			rows[n] = inspect.Row{Name: "row", Value: strconv.Itoa(n), ID: strconv.Itoa(n)}
		}
		return rows, nil
	}
	i := open(t, inspect.Options{})
	addPanel(t, i, inspect.Panel{Title: "queue", Rows: many, Actions: []inspect.Action{
		{Name: "retry", OnRows: true, Run: run("retry")}, {Name: "retry all", Run: run("all")},
		{Name: "break", Run: func(context.Context, string) error { panic("secret") }},
	}})
	addPanel(t, i, inspect.Panel{Title: "broken", Rows: func(context.Context) ([]inspect.Row, error) { panic("secret") }})
	addPanel(t, i, inspect.Panel{Title: "slow", Rows: func(ctx context.Context) ([]inspect.Row, error) {
		if _, ok := ctx.Deadline(); !ok {
			return nil, errors.New("no deadline")
		}
		return nil, nil
	}})

	body := get(i, "/").Body.String()
	if n := strings.Count(body, "<th scope=\"row\">row</th>"); n != 1000 || !strings.Contains(body, "500 more rows") {
		t.Errorf("got %d rows, want 1000 and word of 500 more", n)
	}
	if strings.Count(body, "<button>retry</button>") != 1000 || strings.Count(body, "<button>retry all</button>") != 1 {
		t.Error("the buttons are not where they should be")
	}
	if !strings.Contains(body, "panicked with a string") || strings.Contains(body, "secret") || strings.Contains(body, "no deadline") {
		t.Error("a panel that panics is not told well, or one has no deadline")
	}

	wantStatus(t, post(i, nil, "do", "panel", "panel", "queue", "action", "retry", "id", "7"), http.StatusSeeOther)
	wantStatus(t, post(i, nil, "do", "panel", "panel", "queue", "action", "retry all"), http.StatusSeeOther)
	wantStatus(t, post(i, nil, "do", "panel", "panel", "queue", "action", "break"), http.StatusInternalServerError)
	wantStatus(t, post(i, nil, "do", "panel", "panel", "queue", "action", "retry"), http.StatusNotFound)
	wantStatus(t, post(i, nil, "do", "panel", "panel", "queue", "action", "retry all", "id", "7"), http.StatusNotFound)
	wantStatus(t, post(i, nil, "do", "panel", "panel", "slow", "action", "retry", "id", "7"), http.StatusNotFound)
	if want := []string{"retry 7", "all "}; !slices.Equal(ran, want) {
		t.Errorf("got %q, want %q", ran, want)
	}
}
