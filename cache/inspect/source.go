package inspect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/larder-go/larder/cache"
)

// Source is a cache to be shown.
type Source struct {
	// Name is what the page calls it: distinct printable text of at most
	// MaxName bytes.
	Name string

	// Cache must have the capability cache.StatsReporter. What is shown beyond
	// its numbers depends on its others: cache.Regions, cache.Explainer, Ranker.
	// The inspector does not close it.
	Cache cache.Cache

	// Regions are those that the page offers to expire. They need the capability
	// cache.Regions; with it there is always a button for all regions at once.
	Regions []Region

	// Explain says why a key is or is not served: the Explain of the cache.Typed
	// that reads it. nil asks the cache's own cache.Explainer, which knows what
	// there is, but not whether its readers can use it.
	Explain func(ctx context.Context, key string) (cache.Explanation, error)
}

// Region is a group of entries that the page offers to expire.
type Region struct {
	// Name is what the page calls it: distinct printable text of at most
	// MaxName bytes.
	Name string

	// Token is the region's own, as the Token of a region.Region.
	Token cache.Token
}

// Panel is a table that a service adds: the contact and lag of a near cache, the
// health of a server, the queue of a write-behind.
type Panel struct {
	// Title stands above it: distinct printable text of at most MaxName bytes.
	Title string

	// Rows returns what the table shows now. It is called for each look at the
	// page, from many goroutines, and must obey ctx, which ends after two
	// seconds. Its error's text is shown.
	Rows func(ctx context.Context) ([]Row, error)

	// Actions are the panel's buttons. Each name is distinct.
	Actions []Action
}

// Row is one line of a Panel. Its zero fields are left out.
type Row struct {
	Name  string // what it is, as in "lag"
	Key   string // the key it is about: shown as a hash unless Options.ShowKeys
	Value string // as in "1.2 s"; it must hold neither keys nor values
	Bad   bool   // whether it needs somebody's attention

	// ID is handed to the actions on rows. It is not shown, but it is in the
	// page, so it must not be a key. A row without one has no buttons.
	ID string
}

// Action is a button of a Panel.
type Action struct {
	Name string // printable text, as in "Retry"

	// OnRows puts the button on each row that has an ID, and not once below the
	// panel.
	OnRows bool

	// Run does it, with the ID of the row, or "". The ID comes from a request
	// and may be anything: the row may be gone by now, or never have been. The
	// error's text is shown. ctx ends with the request, and after ten seconds.
	Run func(ctx context.Context, id string) error
}

const (
	// MaxName is the longest name of a source, region, panel or action in bytes.
	MaxName = 200

	maxSources = 64
	maxPanels  = 64
	maxRows    = 1000
)

// source is a Source in use.
type source struct {
	Source
	stats   cache.StatsReporter
	regions cache.Regions // nil: none
	ranking *ranking      // nil: none
	judges  bool          // whether Explain is the caller's, and can tell what is served
}

// Add shows s from now on. It can be called at any time, and there may be up to
// 64 sources. cache.ErrInvalidConfig names what is wrong with s;
// errors.ErrUnsupported means that the cache has no Stats, or no regions although
// s names some. It sends nothing.
func (i *Inspector) Add(s Source) error {
	if s.Cache == nil {
		return refused("Source.Cache", "must not be nil")
	}
	added := &source{Source: s, judges: s.Explain != nil}
	var ok bool
	if added.stats, ok = cache.As[cache.StatsReporter](s.Cache); !ok {
		return fmt.Errorf("larder: a %T has no Stats: %w", s.Cache, errors.ErrUnsupported)
	}
	if added.regions, ok = cache.As[cache.Regions](s.Cache); !ok && len(s.Regions) > 0 {
		return fmt.Errorf("larder: a %T has no regions: %w", s.Cache, errors.ErrUnsupported)
	}
	if ranker, ok := cache.As[Ranker](s.Cache); ok {
		added.ranking = &ranking{ranker: ranker}
	}
	if explainer, ok := cache.As[cache.Explainer](s.Cache); ok && s.Explain == nil {
		added.Explain = explainer.Explain
	}
	names := []string{s.Name}
	added.Regions = append([]Region(nil), s.Regions...)
	for _, r := range added.Regions {
		if err := r.Token.Check(); err != nil {
			return &cache.OptionError{Option: "Source.Regions", Reason: "has a bad token", Err: err}
		}
		names = append(names, r.Name)
	}
	if !printable(names...) || !distinct(names[1:]) {
		return refused("Source", "must have printable, distinct names")
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.closed.Load():
		return cache.ErrClosed
	case len(i.sources) == maxSources:
		return refused("Source", "is one too many")
	case i.sourceLocked(s.Name) != nil:
		return refused("Source.Name", "must be distinct")
	}
	i.sources = append(i.sources, added)
	return nil
}

// AddPanel shows p from now on, below the caches. It can be called at any time,
// and there may be up to 64 panels, of which 1000 rows each are shown.
// cache.ErrInvalidConfig names what is wrong with p.
func (i *Inspector) AddPanel(p Panel) error {
	if p.Rows == nil {
		return refused("Panel.Rows", "must not be nil")
	}
	names := []string{p.Title}
	p.Actions = append([]Action(nil), p.Actions...)
	for _, a := range p.Actions {
		if a.Run == nil {
			return refused("Action.Run", "must not be nil")
		}
		names = append(names, a.Name)
	}
	if !printable(names...) || !distinct(names[1:]) {
		return refused("Panel", "must have printable, distinct names")
	}

	i.mu.Lock()
	defer i.mu.Unlock()
	switch _, exists := i.panelLocked(p.Title); {
	case i.closed.Load():
		return cache.ErrClosed
	case len(i.panels) == maxPanels:
		return refused("Panel", "is one too many")
	case exists:
		return refused("Panel.Title", "must be distinct")
	}
	i.panels = append(i.panels, p)
	return nil
}

func refused(option, reason string) error {
	return &cache.OptionError{Option: "inspect." + option, Reason: reason, Err: cache.ErrInvalidConfig}
}

// printable reports whether each name survives a form: browsers change line
// breaks and bytes that are no UTF-8.
func printable(names ...string) bool {
	for _, name := range names {
		if strings.TrimSpace(name) == "" || len(name) > MaxName || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return false
		}
	}
	return true
}

func distinct(names []string) bool {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

func (i *Inspector) sourceLocked(name string) *source {
	for _, s := range i.sources {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func (i *Inspector) panelLocked(title string) (Panel, bool) {
	for _, p := range i.panels {
		if p.Title == title {
			return p, true
		}
	}
	return Panel{}, false
}
