package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/inspect"
)

func TestNewReportsEachBadOption(t *testing.T) {
	_, err := inspect.New(&inspect.Options{Interval: time.Millisecond, Samples: 1, TopKeys: 1001})
	if !errors.Is(err, cache.ErrInvalidConfig) {
		t.Fatalf("got %v, want ErrInvalidConfig", err)
	}
	for _, option := range []string{"Options.Interval", "Options.Samples", "Options.TopKeys"} {
		if !strings.Contains(err.Error(), option) {
			t.Errorf("got %v, want %s in it", err, option)
		}
	}
	for _, opts := range []inspect.Options{{Interval: -1}, {Samples: -1}, {Samples: 1441}, {TopKeys: -1}} {
		if _, err := inspect.New(&opts); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%+v: got %v, want ErrInvalidConfig", opts, err)
		}
	}
}

// bare is a cache with nothing but what its parts have.
type bare struct{ cache.Cache }

type withStats struct {
	cache.Cache
	cache.StatsReporter
}

// watched is an observing decorator.
type watched struct{ bare }

func (w watched) Unwrap() cache.Cache { return w.Cache }

func TestAddRefusesWhatItCannotShow(t *testing.T) {
	b := newBackend(t)
	fine := inspect.Region{Name: "prices", Token: cache.RegionToken("prices")}
	long := strings.Repeat("x", inspect.MaxName+1)
	tests := []struct {
		name   string
		source inspect.Source
		want   error
	}{
		{"no cache", inspect.Source{Name: "s"}, cache.ErrInvalidConfig},
		{"no name", inspect.Source{Cache: b}, cache.ErrInvalidConfig},
		{"a blank name", inspect.Source{Name: " ", Cache: b}, cache.ErrInvalidConfig},
		{"a long name", inspect.Source{Name: long, Cache: b}, cache.ErrInvalidConfig},
		{"a name that no form can send", inspect.Source{Name: "a\nb", Cache: b}, cache.ErrInvalidConfig},
		{"a name that is no text", inspect.Source{Name: "\xff", Cache: b}, cache.ErrInvalidConfig},
		{"a name twice", inspect.Source{Name: "taken", Cache: b}, cache.ErrInvalidConfig},
		{"a region twice", inspect.Source{Name: "s", Cache: b, Regions: []inspect.Region{fine, fine}}, cache.ErrInvalidConfig},
		{"a region without a name", inspect.Source{Name: "s", Cache: b, Regions: []inspect.Region{{Token: fine.Token}}}, cache.ErrInvalidConfig},
		{"a region with a bad token", inspect.Source{Name: "s", Cache: b, Regions: []inspect.Region{{Name: "r", Token: cache.RegionToken("")}}}, cache.ErrInvalidToken},
		{"no stats", inspect.Source{Name: "s", Cache: bare{b}}, errors.ErrUnsupported},
		{"no regions", inspect.Source{Name: "s", Cache: withStats{bare{b}, b}, Regions: []inspect.Region{fine}}, errors.ErrUnsupported},
		{"stats alone", inspect.Source{Name: "stats", Cache: withStats{bare{b}, b}}, nil},
		{"stats behind a decorator", inspect.Source{Name: "watched", Cache: watched{bare{b}}, Regions: []inspect.Region{fine}}, nil},
	}
	i := open(t, inspect.Options{ShowKeys: true})
	add(t, i, inspect.Source{Name: "taken", Cache: b})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := i.Add(test.source); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
	wantStatus(t, post(i, nil, "do", "expire-all", "cache", "stats"), http.StatusNotFound)
	wantStatus(t, post(i, nil, "do", "explain", "cache", "stats", "key", "k"), http.StatusNotFound)
	wantStatus(t, post(i, nil, "do", "expire", "cache", "watched", "region", "prices"), http.StatusSeeOther)

	for n := range 100 {
		if err := i.Add(inspect.Source{Name: fmt.Sprint("many", n), Cache: b}); errors.Is(err, cache.ErrInvalidConfig) {
			return
		}
	}
	t.Error("there is no limit to sources")
}

func TestAddPanelRefusesWhatItCannotShow(t *testing.T) {
	rows := func(context.Context) ([]inspect.Row, error) { return nil, nil }
	run := func(context.Context, string) error { return nil }
	i := open(t, inspect.Options{})
	addPanel(t, i, inspect.Panel{Title: "taken", Rows: rows})
	for name, panel := range map[string]inspect.Panel{
		"no rows":         {Title: "p"},
		"no title":        {Rows: rows},
		"a title twice":   {Title: "taken", Rows: rows},
		"no run":          {Title: "p", Rows: rows, Actions: []inspect.Action{{Name: "a"}}},
		"no action name":  {Title: "p", Rows: rows, Actions: []inspect.Action{{Run: run}}},
		"an action twice": {Title: "p", Rows: rows, Actions: []inspect.Action{{Name: "a", Run: run}, {Name: "a", Run: run, OnRows: true}}},
	} {
		if err := i.AddPanel(panel); !errors.Is(err, cache.ErrInvalidConfig) {
			t.Errorf("%s: got %v, want ErrInvalidConfig", name, err)
		}
	}
	for n := range 100 {
		if err := i.AddPanel(inspect.Panel{Title: fmt.Sprint("many", n), Rows: rows}); errors.Is(err, cache.ErrInvalidConfig) {
			return
		}
	}
	t.Error("there is no limit to panels")
}

// TestTogether has everything happen at once, for the race detector.
func TestTogether(t *testing.T) {
	i := open(t, inspect.Options{Interval: 100 * time.Millisecond, Samples: 2, ShowKeys: true})
	b := newBackend(t, "a", "b", "c")
	add(t, i, inspect.Source{Name: "products", Cache: b})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := range 8 {
				i.Observe(t.Context(), cache.Event{Kind: cache.EventLoad, Layer: "load", Duration: time.Millisecond})
				i.Observe(t.Context(), cache.Event{Kind: cache.EventServerError, Layer: "redis", Op: fmt.Sprint(worker, n), Duration: 1})
				i.Observe(t.Context(), cache.Event{Kind: cache.EventBreaker, Layer: "redis", Detail: "open"})
				wantStatus(t, get(i, "/"), http.StatusOK)
				wantStatus(t, get(i, "/data.json"), http.StatusOK)
				wantStatus(t, post(i, nil, "do", "expire-all", "cache", "products"), http.StatusSeeOther)
				if n == 0 {
					add(t, i, inspect.Source{Name: fmt.Sprint("cache", worker, n), Cache: b})
					addPanel(t, i, inspect.Panel{
						Title: fmt.Sprint("panel", worker, n),
						Rows:  func(context.Context) ([]inspect.Row, error) { return []inspect.Row{{Name: "n"}}, nil },
					})
				}
				runtime.Gosched()
			}
		})
	}
	all.Wait()
}
