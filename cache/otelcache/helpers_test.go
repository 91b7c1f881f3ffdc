package otelcache_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/larder-go/larder/cache/otelcache"
)

// observed is an Instrumentation whose metrics and spans a test can read.
type observed struct {
	*otelcache.Instrumentation
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
	tracer *sdktrace.TracerProvider
}

func newObserved(t *testing.T) *observed {
	t.Helper()
	o := &observed{reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader))
	o.tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(o.spans))
	var err error
	o.Instrumentation, err = otelcache.New(otelcache.Options{MeterProvider: meter, TracerProvider: o.tracer, Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = o.Close(t.Context())
		_ = meter.Shutdown(t.Context())
		_ = o.tracer.Shutdown(t.Context())
	})
	return o
}

// metrics collects and returns the series of the metrics with this prefix, as
// name{attributes}: its number, or how many numbers a histogram has. The name
// of the cache is checked and left out.
func (o *observed) metrics(t *testing.T, prefix string) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := o.reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		if scope.Scope.Name != otelcache.ScopeName {
			t.Errorf("scope: got %q, want %q", scope.Scope.Name, otelcache.ScopeName)
		}
		for _, m := range scope.Metrics {
			if !strings.HasPrefix(m.Name, prefix) {
				continue
			}
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					got[m.Name+attributes(t, p.Attributes)] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					got[m.Name+attributes(t, p.Attributes)] = int64(p.Count)
				}
			default:
				t.Errorf("%s: unexpected %T", m.Name, d)
			}
		}
	}
	return got
}

func attributes(t *testing.T, set attribute.Set) string {
	t.Helper()
	if v, _ := set.Value("larder.cache.name"); v.AsString() != "test" {
		t.Errorf("larder.cache.name: got %q, want %q", v.AsString(), "test")
	}
	var out []string
	for _, a := range set.ToSlice() {
		if a.Key != "larder.cache.name" {
			out = append(out, fmt.Sprintf("%s=%s", strings.TrimPrefix(string(a.Key), "larder.cache."), a.Value.AsString()))
		}
	}
	return "{" + strings.Join(out, " ") + "}"
}

func compare(t *testing.T, got, want map[string]int64) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if n, ok := want[name]; !ok || n != got[name] {
			t.Errorf("got %s = %d, want %d", name, got[name], n)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			t.Errorf("%s = %d is missing", name, want[name])
		}
	}
}
