package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
)

//go:embed templates static
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"price": func(cents int) string { return fmt.Sprintf("%d.%02d", cents/100, cents%100) },
	"took":  took,
	"count": func(n int) string {
		if n < 0 {
			return "-" // not known
		}
		return strconv.Itoa(n)
	},
	"clock": func(t time.Time) string { return t.Format(time.TimeOnly) },
}).ParseFS(files, "templates/*.html"))

// took is a duration in digits that matter.
func took(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%.3g µs", float64(d)/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/1e6)
	}
	return d.Round(100 * time.Millisecond).String()
}

// handler returns all pages. Nothing but the count of views changes by GET, and
// what a browser posts for another site's page is refused.
func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(w http.ResponseWriter, r *http.Request) error{
		"GET /{$}":                  s.listProducts,
		"GET /product/{id}":         s.showProduct,
		"POST /product/{id}":        s.saveProduct,
		"POST /product/{id}/stock":  s.changeStock,
		"GET /customers":            s.listCustomers,
		"GET /customer/{id}":        s.showCustomer,
		"POST /customer/{id}":       s.saveCustomer,
		"GET /operations":           s.showOperations,
		"POST /operations/pattern":  s.choosePattern,
		"POST /operations/compare":  s.compare,
		"POST /operations/database": s.changeDatabase,
		"GET /letters":              s.showLetters,
		"POST /letters":             s.settleLetter,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				s.fail(w, r, err)
			}
		})
	}
	mux.Handle("GET /static/", http.FileServerFS(files))
	mux.Handle("/debug/larder/", s.inspector)
	return http.NewCrossOriginProtection().Handler(secured(mux))
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// page is what the layout of every page shows, and what is on it.
type page struct {
	Title   string
	Stopped bool
	Dead    int // dead letters
	Notice  string
	Took    time.Duration // to read what it shows
	Calls   int64         // of the database meanwhile, by whomever
	Shop    *shop
	Data    any
}

// render shows what read returns, and says what that cost.
func (s *shop) render(w http.ResponseWriter, r *http.Request, name string, read func(ctx context.Context) (title string, data any, err error)) error {
	began, calls := time.Now(), s.database.calls.Load()
	title, data, err := read(r.Context())
	if err != nil {
		return err
	}
	p := page{Title: title, Took: time.Since(began), Calls: s.database.calls.Load() - calls, Shop: s, Data: data}
	return s.write(w, http.StatusOK, name, p)
}

func (s *shop) write(w http.ResponseWriter, code int, name string, p page) error {
	p.Stopped = s.database.stopped.Load()
	if st, err := s.views.status(context.Background()); err == nil {
		p.Dead = len(st.Letters)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	if err := templates.ExecuteTemplate(w, name, p); err != nil {
		_, _ = io.WriteString(w, "this page could not be shown") // the status has been sent
		s.events.add("page %s: %v", name, err)
	}
	return nil
}

// fail shows an error as the page it deserves.
func (s *shop) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, notice := http.StatusInternalServerError, err.Error()
	switch {
	case r.Context().Err() != nil:
		return // nobody is waiting
	case errors.Is(err, cache.ErrNotFound):
		code, notice = http.StatusNotFound, "There is no such page."
	case errors.Is(err, errInput):
		code = http.StatusBadRequest
	case errors.Is(err, errUnwritten), errors.Is(err, errSoldOut):
		code = http.StatusConflict
	case errors.Is(err, errStopped):
		code = http.StatusServiceUnavailable
		notice = "The database is stopped, and this is not cached. Nothing was changed."
	}
	_ = s.write(w, code, "error.html", page{Title: http.StatusText(code), Notice: notice, Shop: s})
}

var errInput = errors.New("please fill in the form")

// number reads a value of the path or the form.
func number(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, errInput
	}
	return n, nil
}

func pathID(r *http.Request) (int, error) {
	id, err := number(r.PathValue("id"))
	if err != nil {
		return 0, cache.ErrNotFound
	}
	return id, nil
}

// back answers a form: with the page that shows what it did.
func back(w http.ResponseWriter, r *http.Request, to string) error {
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
