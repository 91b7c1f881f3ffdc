package otelcache

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/larder-go/larder/cache"
)

// ScopeName names this package to OpenTelemetry, as the instrumentation scope
// of all that it reports.
const ScopeName = "github.com/larder-go/larder/cache/otelcache"

// Options configure New. The zero value of every field is a sensible default.
type Options struct {
	// MeterProvider makes the instruments. Nil: the global one.
	MeterProvider metric.MeterProvider

	// TracerProvider makes the spans. Nil: the global one. To have none, give
	// the one of go.opentelemetry.io/otel/trace/noop.
	TracerProvider trace.TracerProvider

	// Name is the attribute larder.cache.name of everything that is reported.
	// A program gives each of its caches another name. Empty: no such attribute.
	Name string
}

// ErrRegistered refuses to register a layer twice: its numbers would mix.
var ErrRegistered = errors.New("otelcache: layer is registered already")

// Instrumentation reports what one cache does, all its layers included. It is
// safe for concurrent use and starts no goroutine.
type Instrumentation struct {
	base   []attribute.KeyValue
	meter  metric.Meter
	events *eventObserver
	stats  []instrument
	all    []metric.Observable // the instruments of stats

	counting metric.Registration // of events

	mu     sync.Mutex
	layers map[string]bool // registered
}

// New makes the instruments. The error is that of the MeterProvider, joined, if
// it refuses some. Close it when the cache is closed, unless its providers end
// with it.
func New(opts Options) (*Instrumentation, error) {
	if opts.MeterProvider == nil {
		opts.MeterProvider = otel.GetMeterProvider()
	}
	if opts.TracerProvider == nil {
		opts.TracerProvider = otel.GetTracerProvider()
	}
	in := &Instrumentation{meter: opts.MeterProvider.Meter(ScopeName), layers: map[string]bool{}}
	if opts.Name != "" {
		in.base = []attribute.KeyValue{nameKey.String(opts.Name)}
	}
	var statsErr, eventsErr error
	in.stats, statsErr = newInstruments(in.meter)
	for _, s := range in.stats {
		in.all = append(in.all, s.counter)
	}
	in.events, eventsErr = newEventObserver(in.meter, opts.TracerProvider.Tracer(ScopeName), in.base)
	if err := errors.Join(statsErr, eventsErr); err != nil {
		return nil, fmt.Errorf("otelcache: %w", err)
	}
	var err error
	in.counting, err = in.meter.RegisterCallback(in.events.collect, in.events.counter)
	if err != nil {
		return nil, fmt.Errorf("otelcache: %w", err)
	}
	return in, nil
}

// Observer returns what the cache is to tell its events: the Observer of
// larder.Options, memory.Options or distributed.Options. It is the same at each
// call. Beside others it goes into observe.All.
func (in *Instrumentation) Observer() cache.Observer { return in.events }

// Register reports c's counters under larder.cache.layer = layer, from now until
// unregister is called; c stays reachable until then. A layer that is registered
// already is ErrRegistered. A cache's counters may be registered before, while
// and after it is used, and after its Close, where they stay as they are.
func (in *Instrumentation) Register(layer string, c cache.StatsReporter) (unregister func() error, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.layers[layer] {
		return nil, fmt.Errorf("%w: %q", ErrRegistered, layer)
	}
	s := newSource(in.stats, in.base, layer, c)
	registration, err := in.meter.RegisterCallback(s.collect, in.all...)
	if err != nil {
		return nil, fmt.Errorf("otelcache: %w", err)
	}
	in.layers[layer] = true
	return sync.OnceValue(func() error {
		err := registration.Unregister()
		in.mu.Lock()
		defer in.mu.Unlock()
		delete(in.layers, layer)
		return err
	}), nil
}

// Close ends the counting of events. What was registered stays so. It is
// idempotent.
func (in *Instrumentation) Close(context.Context) error { return in.counting.Unregister() }
