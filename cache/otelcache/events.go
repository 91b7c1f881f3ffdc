package otelcache

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/observe"
)

const (
	eventKey     = attribute.Key("larder.cache.event")
	operationKey = attribute.Key("larder.cache.operation")
	causeKey     = attribute.Key("larder.cache.cause")

	// These are the names of OpenTelemetry's semantic conventions.
	errorTypeKey   = attribute.Key("error.type")
	dbSystemKey    = attribute.Key("db.system.name")
	dbOperationKey = attribute.Key("db.operation.name")
)

// maxSeries bounds the combinations of attributes of larder.cache.events.
// larder's own caches have some dozens; a foreign cache's operations might be
// without number.
const maxSeries = 500

// durations are the bounds of histograms, in seconds, as OpenTelemetry advises
// for database calls.
func durations() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
}

// eventKind is what a count of events has in common.
type eventKind struct {
	kind                        string // its name: kinds without one are all "unknown"
	layer, op, cause, errorType string
}

// count is how many events there were of one eventKind.
type count struct {
	n    atomic.Int64
	with metric.ObserveOption

	// Of a call to the server: its histogram's and its span's.
	attrs attribute.Set
	call  metric.RecordOption
}

// eventObserver counts events, measures loads and makes their spans.
//
// The counts are in a map that is never changed but replaced by a larger one, so
// that counting an event of a known kind takes no lock and no memory.
type eventObserver struct {
	base    []attribute.KeyValue
	tracer  trace.Tracer
	counter metric.Int64ObservableCounter
	loads   metric.Float64Histogram
	calls   metric.Float64Histogram

	counts atomic.Pointer[map[eventKind]*count]
	mu     sync.Mutex // held to replace counts
}

func newEventObserver(meter metric.Meter, tracer trace.Tracer, base []attribute.KeyValue) (*eventObserver, error) {
	o := &eventObserver{base: base, tracer: tracer}
	o.counts.Store(&map[eventKind]*count{})
	var errs [3]error
	o.counter, errs[0] = meter.Int64ObservableCounter("larder.cache.events", metric.WithUnit("{event}"),
		metric.WithDescription("Events of every kind but hits and misses."))
	o.loads, errs[1] = meter.Float64Histogram("larder.cache.load.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of loads."), durations())
	o.calls, errs[2] = meter.Float64Histogram("db.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of calls to the server."), durations())
	return o, errors.Join(errs[:]...)
}

// Observe implements cache.Observer.
func (o *eventObserver) Observe(ctx context.Context, e cache.Event) {
	switch e.Kind {
	case cache.EventHit, cache.EventMiss:
		return // the caches count these
	case cache.EventLoad:
		o.count(e)
		o.load(ctx, e)
	case cache.EventServerCall, cache.EventServerError:
		o.call(ctx, e, o.count(e))
	default:
		o.count(e)
	}
}

// count counts an event, of whatever kind.
func (o *eventObserver) count(e cache.Event) *count {
	kind := eventKind{kind: e.Kind.String(), layer: e.Layer, op: e.Op, errorType: errorType(e.Err)}
	switch e.Kind {
	case cache.EventEviction, cache.EventExpiration, cache.EventBreaker:
		kind.cause = e.Detail
	}
	c := (*o.counts.Load())[kind]
	if c == nil {
		c = o.newCount(kind)
	}
	c.n.Add(int64(max(e.Count, 1)))
	return c
}

// newCount returns the count of kind, or once there are too many, that of all
// further events of its name.
func (o *eventObserver) newCount(kind eventKind) *count {
	o.mu.Lock()
	defer o.mu.Unlock()
	counts := *o.counts.Load()
	if len(counts) >= maxSeries {
		kind = eventKind{kind: kind.kind}
	}
	if c := counts[kind]; c != nil {
		return c
	}
	c := &count{with: metric.WithAttributeSet(o.set(kind.layer,
		eventKey.String(kind.kind), operationKey.String(kind.op),
		causeKey.String(kind.cause), errorTypeKey.String(kind.errorType)))}
	c.attrs = o.set(kind.layer, dbSystemKey.String(kind.layer), dbOperationKey.String(kind.op), errorTypeKey.String(kind.errorType))
	c.call = metric.WithAttributeSet(c.attrs)
	counts = maps.Clone(counts)
	counts[kind] = c
	o.counts.Store(&counts)
	return c
}

// collect is a metric.Callback.
func (o *eventObserver) collect(_ context.Context, to metric.Observer) error {
	for _, c := range *o.counts.Load() {
		to.ObserveInt64(o.counter, c.n.Load(), c.with)
	}
	return nil
}

func (o *eventObserver) load(ctx context.Context, e cache.Event) {
	attrs := o.set(e.Layer, errorTypeKey.String(errorType(e.Err)))
	o.loads.Record(ctx, e.Duration.Seconds(), metric.WithAttributeSet(attrs))
	o.span(ctx, e, "larder.load", trace.SpanKindInternal, attrs)
}

// call measures a call to the server, and makes its span if the caller has one.
func (o *eventObserver) call(ctx context.Context, e cache.Event, c *count) {
	o.calls.Record(ctx, e.Duration.Seconds(), c.call)
	if trace.SpanContextFromContext(ctx).IsSampled() {
		o.span(ctx, e, e.Op, trace.SpanKindClient, c.attrs)
	}
}

// span makes the span of something that has just ended.
func (o *eventObserver) span(ctx context.Context, e cache.Event, name string, kind trace.SpanKind, attrs attribute.Set) {
	end := time.Now()
	_, span := o.tracer.Start(ctx, name, trace.WithSpanKind(kind),
		trace.WithTimestamp(end.Add(-e.Duration)), trace.WithAttributes(attrs.ToSlice()...))
	if failed := errorType(e.Err); failed != "" {
		span.SetStatus(codes.Error, failed)
	}
	span.End(trace.WithTimestamp(end))
}

// set returns the attributes that everything has, and the further ones that have
// a value.
func (o *eventObserver) set(layer string, more ...attribute.KeyValue) attribute.Set {
	attrs := slices.Clone(o.base)
	for _, a := range append(more, layerKey.String(layer)) {
		if a.Value.AsString() != "" {
			attrs = append(attrs, a)
		}
	}
	return attribute.NewSet(attrs...)
}

// errorType is that of observe, but what a source does not have is no failure.
func errorType(err error) string {
	if name := observe.ErrorType(err); name != "not_found" {
		return name
	}
	return ""
}
