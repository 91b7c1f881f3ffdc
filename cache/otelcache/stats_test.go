package otelcache_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/otelcache"
	"github.com/larder-go/larder/memory"
)

// numbers is a cache that did this.
type numbers cache.Stats

func (n *numbers) Stats() cache.Stats { return cache.Stats(*n) }

// Each field gets a number of its own, so a metric that reads another field, or a
// field that no metric reads, is found.
func TestEveryFieldOfStatsHasAMetric(t *testing.T) {
	o := newObserved(t)
	var n numbers
	fields := reflect.ValueOf(&n).Elem()
	for i := range fields.NumField() {
		if f := fields.Field(i); f.CanUint() {
			f.SetUint(uint64(i + 1))
		} else {
			f.SetInt(int64(i + 1))
		}
	}
	if _, err := o.Register("here", &n); err != nil {
		t.Fatal(err)
	}
	s := n.Stats()
	got := o.metrics(t, "")
	compare(t, got, map[string]int64{
		"larder.cache.lookups{layer=here result=hit}":  int64(s.Hits),
		"larder.cache.lookups{layer=here result=miss}": int64(s.Misses),
		"larder.cache.sets{layer=here}":                int64(s.Sets),
		"larder.cache.removes{layer=here}":             int64(s.Removes),
		"larder.cache.loads{layer=here}":               int64(s.Loads),
		"larder.cache.load.errors{layer=here}":         int64(s.LoadErrors),
		"larder.cache.load.shared{layer=here}":         int64(s.LoadsShared),
		"larder.cache.fill.refused{layer=here}":        int64(s.FillsRefused),
		"larder.cache.lease.lost{layer=here}":          int64(s.LeasesLost),
		"larder.cache.join.refused{layer=here}":        int64(s.JoinsRefused),
		"larder.cache.stale.hits{layer=here}":          int64(s.StaleHits),
		"larder.cache.refreshes{layer=here}":           int64(s.Refreshes),
		"larder.cache.errors.cached{layer=here}":       int64(s.ErrorsCached),
		"larder.cache.evictions{layer=here}":           int64(s.Evictions),
		"larder.cache.expirations{layer=here}":         int64(s.Expirations),
		"larder.cache.undecodable{layer=here}":         int64(s.Undecodable),
		"larder.cache.server.errors{layer=here}":       int64(s.ServerErrors),
		"larder.cache.server.rejected{layer=here}":     int64(s.Rejected),
		"larder.cache.entries{layer=here}":             s.Entries,
		"larder.cache.size{layer=here}":                s.Bytes,
	})
	if len(got) != fields.NumField() {
		t.Errorf("got %d series of %d fields", len(got), fields.NumField())
	}
}

// A cache that does not know its size says 0, and that is not its size.
func TestLevelsThatACacheDoesNotKnow(t *testing.T) {
	o := newObserved(t)
	n := &numbers{}
	if _, err := o.Register("here", n); err != nil {
		t.Fatal(err)
	}
	compare(t, o.metrics(t, "larder.cache.entries"), nil)
	n.Entries = 3
	compare(t, o.metrics(t, "larder.cache.entries"), map[string]int64{"larder.cache.entries{layer=here}": 3})
	n.Entries = 0
	compare(t, o.metrics(t, "larder.cache.entries"), map[string]int64{"larder.cache.entries{layer=here}": 0})
}

func TestRegister(t *testing.T) {
	o := newObserved(t)
	unregister, err := o.Register("near", &numbers{Sets: 1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Register("redis", &numbers{Sets: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Register("redis", &numbers{Sets: 3}); !errors.Is(err, otelcache.ErrRegistered) {
		t.Errorf("a layer twice: got %v, want %v", err, otelcache.ErrRegistered)
	}
	compare(t, o.metrics(t, "larder.cache.sets"), map[string]int64{
		"larder.cache.sets{layer=near}": 1, "larder.cache.sets{layer=redis}": 2})
	for range 2 {
		if err := unregister(); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, o.metrics(t, "larder.cache.sets"), map[string]int64{"larder.cache.sets{layer=redis}": 2})
	if _, err := o.Register("near", &numbers{Sets: 4}); err != nil {
		t.Errorf("after unregister: %v", err)
	}
	_ = unregister() // again: ends nothing of the new one
	compare(t, o.metrics(t, "larder.cache.sets"), map[string]int64{
		"larder.cache.sets{layer=near}": 4, "larder.cache.sets{layer=redis}": 2})
}

func TestMemory(t *testing.T) {
	ctx := t.Context()
	o := newObserved(t)
	c, err := memory.New(&memory.Options{Observer: o.Observer()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := o.Register("memory", c); err != nil {
		t.Fatal(err)
	}
	names := cache.NewTyped[string](c, nil)
	for range 3 {
		if _, err := names.GetOrCreateExclusive(ctx, "k", func(context.Context, *cache.Entry) (string, error) {
			return "v", nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, o.metrics(t, "larder.cache.lookups"), map[string]int64{
		"larder.cache.lookups{layer=memory result=hit}":  2,
		"larder.cache.lookups{layer=memory result=miss}": 1,
	})
	compare(t, o.metrics(t, "larder.cache.entries"), map[string]int64{"larder.cache.entries{layer=memory}": 1})
	compare(t, o.metrics(t, "larder.cache.events"), map[string]int64{"larder.cache.events{event=load layer=load}": 1})
	if got := len(o.spans.GetSpans()); got != 1 {
		t.Errorf("got %d spans, want that of the load", got)
	}
}

// refusing is a MeterProvider that makes no instruments.
type refusing struct{ noop.MeterProvider }

type refusingMeter struct{ noop.Meter }

var errRefused = errors.New("refused")

func (refusing) Meter(string, ...metric.MeterOption) metric.Meter { return refusingMeter{} }

func (refusingMeter) Int64ObservableCounter(string, ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	return nil, errRefused
}

func TestNewReportsWhatItsProviderRefuses(t *testing.T) {
	if in, err := otelcache.New(otelcache.Options{MeterProvider: refusing{}}); in != nil || !errors.Is(err, errRefused) {
		t.Errorf("got %v, %v, want nil, %v", in, err, errRefused)
	}
	in, err := otelcache.New(otelcache.Options{}) // the global providers, which do nothing
	if err != nil {
		t.Fatal(err)
	}
	in.Observer().Observe(t.Context(), cache.Event{Kind: cache.EventLoad})
	if err := in.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
