package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/larder-go/larder/cache"
)

// ServeHTTP answers GET and HEAD with the page, or with what it shows as JSON if
// the path ends in /data.json, whose form may grow; and POST of the page's forms
// by acting, with a redirect back to the page. It does not depend on the path it
// is mounted under, which should end in a slash. A look at the page costs a Stats
// call and the panels' Rows.
func (i *Inspector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	switch {
	case i.opts.Authorize == nil || !i.opts.Authorize(r):
		http.Error(w, "forbidden", http.StatusForbidden)
	case i.closed.Load():
		http.Error(w, "closed", http.StatusServiceUnavailable)
	case r.Method == http.MethodPost:
		i.post(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case path.Base(r.URL.Path) == "data.json":
		i.data(w, r)
	default:
		i.page(w, r, http.StatusOK, nil)
	}
}

// secure forbids browsers what the page has no need of.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func (i *Inspector) data(w http.ResponseWriter, r *http.Request) {
	data, err := json.Marshal(i.look(r.Context()))
	if err != nil {
		http.Error(w, "cannot encode", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data) // nobody is left to be told
}

// page answers with the page, and on it what was found out about a key.
func (i *Inspector) page(w http.ResponseWriter, r *http.Request, status int, explained *explained) {
	var b bytes.Buffer
	v := i.look(r.Context())
	if err := render(&b, pageData{view: v, ShowKeys: i.opts.ShowKeys, Explained: explained}); err != nil {
		http.Error(w, "cannot render", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // nobody is left to be told
}

// act is something that was done by a button.
type act struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Error string    `json:"error,omitempty"`
}

// maxActs is how many of the latest acts are kept.
const maxActs = 20

// maxForm is the longest body of a POST: a key, percent-encoded, and names.
const maxForm = 32 << 10

// post does what a form asks for. What worked leads back to the page, so that
// loading it again does nothing.
func (i *Inspector) post(w http.ResponseWriter, r *http.Request) {
	if err := i.origin.Check(r); err != nil {
		http.Error(w, "cross-origin request refused", http.StatusForbidden)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "bad form", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	form := r.PostForm
	if form.Get("do") == "explain" {
		i.explain(ctx, w, r)
		return
	}
	what, run, err := i.chosen(form.Get)
	if err != nil {
		refuse(w, err)
		return
	}
	if err := i.carryOut(ctx, what, run); err != nil {
		i.page(w, r, http.StatusInternalServerError, nil)
		return
	}
	// Relative to the page, wherever it is mounted.
	w.Header().Set("Location", "?")
	w.WriteHeader(http.StatusSeeOther)
}

var (
	errNoSuch     = errors.New("no such thing")
	errKeysHidden = errors.New("keys are hidden")
)

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusNotFound
	if errors.Is(err, errKeysHidden) {
		status = http.StatusForbidden
	}
	http.Error(w, err.Error(), status)
}

// chosen returns what a form asks for.
func (i *Inspector) chosen(form func(string) string) (what string, run func(context.Context) error, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	do := form("do")
	if do == "panel" {
		return i.chosenActionLocked(form("panel"), form("action"), form("id"))
	}
	s := i.sourceLocked(form("cache"))
	switch {
	case s == nil:
		return "", nil, errNoSuch
	case do == "remove" && !i.opts.ShowKeys:
		return "", nil, errKeysHidden
	case do == "remove":
		key := form("key")
		return "remove a key of " + s.Name, func(ctx context.Context) error { return s.Cache.Remove(ctx, key) }, nil
	case do == "expire-all" && s.regions != nil:
		return "expire all regions of " + s.Name, func(ctx context.Context) error {
			return s.regions.ExpireTokens(ctx, cache.GlobalToken())
		}, nil
	case do == "expire":
		for _, region := range s.Regions {
			if region.Name == form("region") {
				return "expire " + region.Name + " of " + s.Name, func(ctx context.Context) error {
					return s.regions.ExpireTokens(ctx, region.Token)
				}, nil
			}
		}
	}
	return "", nil, errNoSuch
}

func (i *Inspector) chosenActionLocked(panel, name, id string) (string, func(context.Context) error, error) {
	p, _ := i.panelLocked(panel)
	for _, a := range p.Actions {
		if a.Name == name && a.OnRows == (id != "") {
			return name + ": " + p.Title, func(ctx context.Context) error { return a.Run(ctx, id) }, nil
		}
	}
	return "", nil, errNoSuch
}

// carryOut runs an action and notes it.
func (i *Inspector) carryOut(ctx context.Context, what string, run func(context.Context) error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panicked with a %T", panicked)
		}
		a := act{At: time.Now().UTC(), What: what}
		if err != nil {
			a.Error = plain(err)
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		i.acts = append(i.acts, a)
		if len(i.acts) > maxActs {
			i.acts = append(i.acts[:0], i.acts[1:]...)
		}
	}()
	return run(ctx)
}

// explained is what was found out about a key.
type explained struct {
	Cache, Key string
	Verdict    string // empty: the cache alone cannot tell
	Reasons    []cache.Reason
	Error      string
}

// explain answers with the page itself: a redirect would put the key into an
// address, and so into logs.
func (i *Inspector) explain(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	s := i.sourceLocked(r.PostForm.Get("cache"))
	i.mu.Unlock()
	switch {
	case !i.opts.ShowKeys:
		refuse(w, errKeysHidden)
		return
	case s == nil || s.Explain == nil:
		refuse(w, errNoSuch)
		return
	}
	found := &explained{Cache: s.Name, Key: r.PostForm.Get("key")}
	e, err := s.Explain(ctx, found.Key)
	if err != nil {
		found.Error = plain(err)
	}
	found.Reasons = e.Reasons
	switch {
	case err != nil || !s.judges:
	case e.Served():
		found.Verdict = "is served"
	default:
		found.Verdict = "is not served"
	}
	i.page(w, r, http.StatusOK, found)
}
