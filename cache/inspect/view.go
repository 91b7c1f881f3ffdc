package inspect

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// view is all that the page shows at one moment, and data.json as it is. Keys in
// it are as they may be shown.
type view struct {
	Title     string      `json:"title,omitempty"`
	Process   string      `json:"process"`
	Now       time.Time   `json:"now"`
	Started   time.Time   `json:"started"`
	Interval  float64     `json:"interval_seconds"`
	Caches    []cacheView `json:"caches"`
	Durations []plot      `json:"durations"` // of no source in particular
	Breakers  []breaker   `json:"breakers"`
	Panels    []panelView `json:"panels"`
	Acts      []act       `json:"actions"` // the latest first
}

// cacheView is one cache.
type cacheView struct {
	Name     string    `json:"name"`
	Counters []counter `json:"counters"`
	Plots    []plot    `json:"plots"`
	Top      *top      `json:"top,omitempty"`

	Regions    []string `json:"regions"`
	CanExpire  bool     `json:"-"`
	CanExplain bool     `json:"-"`
}

// counter is one number of a cache.
type counter struct {
	Name   string `json:"name"`
	Value  int64  `json:"value"`
	Rate   number `json:"per_second"` // over the latest interval; a gap for what is no count
	IsSize bool   `json:"-"`          // of Value: bytes
}

// panelView is what a panel shows.
type panelView struct {
	Title   string    `json:"title"`
	Rows    []rowView `json:"rows"`
	Omitted int       `json:"omitted"` // rows that are too many
	Error   string    `json:"error,omitempty"`

	Buttons    []string `json:"-"` // below the panel
	RowButtons []string `json:"-"` // on rows
}

type rowView struct {
	Name  string `json:"name,omitempty"`
	Key   string `json:"key,omitempty"`
	Value string `json:"value"`
	Bad   bool   `json:"bad,omitempty"`
	ID    string `json:"-"`
}

// look returns the view of now.
func (i *Inspector) look(ctx context.Context) view {
	i.mu.Lock()
	sources, panels, frames := i.sources, i.panels, i.samples.list()
	acts := slices.Clone(i.acts)
	i.mu.Unlock()

	slices.Reverse(acts)
	v := view{
		Title: i.opts.Title, Process: process(), Now: time.Now().UTC(), Started: i.started.UTC(),
		Interval: i.opts.Interval.Seconds(), Breakers: i.breakers.list(), Acts: acts,
		Caches: make([]cacheView, len(sources)),
	}
	order := i.durations.list()
	v.Durations = durationPlots(frames, order, "")
	for n, s := range sources {
		v.Caches[n] = i.lookAt(s, newHistory(frames, n))
		v.Caches[n].Plots = append(v.Caches[n].Plots, durationPlots(frames, order, s.Name)...)
	}
	v.Panels = i.lookAtPanels(ctx, panels)
	return v
}

// process names this process among those that answer under one address.
func process() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return host + " " + strconv.Itoa(os.Getpid())
}

func (i *Inspector) lookAt(s *source, h history) cacheView {
	v := cacheView{
		Name: s.Name, Counters: counters(s.numbers(), h), Plots: h.plots(), Regions: []string{},
		CanExpire: s.regions != nil, CanExplain: s.Explain != nil && i.opts.ShowKeys,
	}
	for _, r := range s.Regions {
		v.Regions = append(v.Regions, r.Name)
	}
	if s.ranking != nil {
		t := s.ranking.list(i.opts.TopKeys, i.opts.Interval)
		t.Largest, t.Read = i.shownAll(t.Largest), i.shownAll(t.Read)
		v.Top = &t
	}
	return v
}

// lookAtPanels asks all panels at once, and waits for them.
func (i *Inspector) lookAtPanels(ctx context.Context, panels []Panel) []panelView {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	views := make([]panelView, len(panels))
	var asked sync.WaitGroup
	for n, p := range panels {
		asked.Go(func() { views[n] = i.lookAtPanel(ctx, p) })
	}
	asked.Wait()
	return views
}

func (i *Inspector) lookAtPanel(ctx context.Context, p Panel) (v panelView) {
	v = panelView{Title: p.Title, Rows: []rowView{}}
	for _, a := range p.Actions {
		if a.OnRows {
			v.RowButtons = append(v.RowButtons, a.Name)
		} else {
			v.Buttons = append(v.Buttons, a.Name)
		}
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			v.Error = fmt.Sprintf("panicked with a %T", panicked)
		}
	}()
	rows, err := p.Rows(ctx)
	if err != nil {
		v.Error = plain(err)
	}
	if len(rows) > maxRows {
		rows, v.Omitted = rows[:maxRows], len(rows)-maxRows
	}
	for _, r := range rows {
		v.Rows = append(v.Rows, rowView{r.Name, i.shown(r.Key), r.Value, r.Bad, r.ID})
	}
	return v
}

// plain returns an error's text without the library's own prefix.
func plain(err error) string { return strings.TrimPrefix(err.Error(), "larder: ") }

// counters lists the numbers of a cache: those that every reader looks for, and
// of the others those that are not zero.
func counters(s cache.Stats, h history) []counter {
	list := []counter{
		{Name: "hits", Value: int64(s.Hits), Rate: h.rate(hits)},
		{Name: "misses", Value: int64(s.Misses), Rate: h.rate(misses)},
		{Name: "loads", Value: int64(s.Loads), Rate: h.rate(loads)},
		{Name: "entries", Value: s.Entries, Rate: gap()},
		{Name: "weight", Value: s.Bytes, Rate: gap(), IsSize: true},
	}
	for _, c := range []struct {
		name string
		of   field
	}{
		{"stores", func(s cache.Stats) uint64 { return s.Sets }},
		{"removals", func(s cache.Stats) uint64 { return s.Removes }},
		{"load errors", loadErrors},
		{"loads shared", func(s cache.Stats) uint64 { return s.LoadsShared }},
		{"fills refused", func(s cache.Stats) uint64 { return s.FillsRefused }},
		{"leases lost", func(s cache.Stats) uint64 { return s.LeasesLost }},
		{"joins refused", func(s cache.Stats) uint64 { return s.JoinsRefused }},
		{"evictions", func(s cache.Stats) uint64 { return s.Evictions }},
		{"expirations", func(s cache.Stats) uint64 { return s.Expirations }},
		{"undecodable", func(s cache.Stats) uint64 { return s.Undecodable }},
		{"server errors", serverErrors},
		{"calls refused", rejected},
	} {
		if v := c.of(s); v > 0 {
			list = append(list, counter{Name: c.name, Value: int64(v), Rate: h.rate(c.of)})
		}
	}
	return list
}
