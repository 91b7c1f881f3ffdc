package inspect

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string
)

// policy is the Content-Security-Policy: this style and this script, forms and
// refreshes to where the page came from, and nothing else. The icon is an empty
// one, so that browsers ask for none.
var policy = "default-src 'none'; style-src '" + hashOf(pageCSS) + "'; script-src '" + hashOf(pageJS) +
	"'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageData is what page.html is filled with.
type pageData struct {
	view
	ShowKeys  bool
	Explained *explained
}

// Explainable returns the names of the caches whose keys can be explained.
func (d pageData) Explainable() (names []string) {
	for _, c := range d.Caches {
		if c.CanExplain {
			names = append(names, c.Name)
		}
	}
	return names
}

// Chosen returns the name of the cache that was asked last.
func (d pageData) Chosen() string {
	if d.Explained == nil {
		return ""
	}
	return d.Explained.Cache
}

// button is one of a panel's, on a row if it has an ID.
type button struct{ Panel, Action, ID string }

// pageTemplate is parsed once, and only ever executed.
var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"draw":    plot.draw,
	"count":   count[int64],
	"hits":    count[uint64],
	"weight":  func(n int64) string { return bytesHeld.text(number(n)) },
	"rate":    rate,
	"clock":   func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"since":   func(now, t time.Time) string { return now.Sub(t).Truncate(time.Second).String() },
	"reason":  reason,
	"visited": func(n int) string { return count(int64(n)) },
	"button":  func(panel, action, id string) button { return button{panel, action, id} },
	"id":      func(kind string, n int) string { return kind + strconv.Itoa(n) },
}).Parse(pageHTML))

func render(w io.Writer, d pageData) error {
	return pageTemplate.Execute(w, struct {
		pageData
		Style, Script template.HTML // as they are, or the policy's hashes would not fit
	}{d, template.HTML("<style>" + pageCSS + "</style>"), template.HTML("<script>" + pageJS + "</script>")})
}

// count writes n with its thousands apart.
func count[N int64 | uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	var b strings.Builder
	for at, digit := range digits {
		if left := len(digits) - at; at > 0 && left%3 == 0 && digits[at-1] != '-' {
			b.WriteRune('\u202f') // a narrow space that does not break
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// rate writes what happened per second; nothing for a gap.
func rate(n number) string {
	switch v := float64(n); {
	case math.IsNaN(v):
		return ""
	case v >= 10 || v == math.Trunc(v):
		return count(int64(math.Round(v)))
	default:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
}

// reason returns what a Reason says beyond its layer and state.
func reason(r cache.Reason) string {
	_, rest, _ := strings.Cut(r.String(), ": "+r.State.String())
	return strings.TrimLeft(rest, ", ")
}
