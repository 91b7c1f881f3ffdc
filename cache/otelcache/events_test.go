package otelcache_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/memory"
)

func TestEventsAreCountedByKind(t *testing.T) {
	o := newObserved(t)
	for _, e := range []cache.Event{
		{Kind: cache.EventHit, Layer: "memory", Op: "get", Count: 7},
		{Kind: cache.EventMiss, Layer: "memory", Op: "get"},
		{Kind: cache.EventEviction, Layer: "memory", Detail: "capacity"},
		{Kind: cache.EventEviction, Layer: "memory", Detail: "capacity", Count: 4},
		{Kind: cache.EventBreaker, Layer: "redis", Detail: "open"},
		{Kind: cache.EventFillRefused, Layer: "load", Err: fmt.Errorf("user-17: %w", cache.ErrLeaseLost)},
		{Kind: cache.EventServerError, Layer: "redis", Op: "get", Duration: time.Second, Err: errors.New("user-17")},
		{Kind: cache.EventLoad, Layer: "load", Duration: time.Second, Err: cache.ErrNotFound},
		{Kind: cache.EventLoad, Layer: "load", Duration: time.Second, Err: cache.ErrLoadTimeout},
		{Kind: 250, Layer: "near", Op: "push", Detail: "user-17"},
		{Kind: 251, Layer: "near", Op: "push"},
	} {
		o.Observer().Observe(t.Context(), e)
	}
	compare(t, o.metrics(t, ""), map[string]int64{
		"larder.cache.events{cause=capacity event=eviction layer=memory}":                                        5,
		"larder.cache.events{cause=open event=breaker layer=redis}":                                              1,
		"larder.cache.events{error.type=lease_lost event=fill_refused layer=load}":                               1,
		"larder.cache.events{error.type=_OTHER event=server_error layer=redis operation=get}":                    1,
		"larder.cache.events{event=load layer=load}":                                                             1,
		"larder.cache.events{error.type=load_timeout event=load layer=load}":                                     1,
		"larder.cache.events{event=unknown layer=near operation=push}":                                           2,
		"larder.cache.load.duration{layer=load}":                                                                 1,
		"larder.cache.load.duration{error.type=load_timeout layer=load}":                                         1,
		"db.client.operation.duration{db.operation.name=get db.system.name=redis error.type=_OTHER layer=redis}": 1,
	})
	if err := o.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	compare(t, o.metrics(t, "larder.cache.events"), nil)
}

// A foreign cache that names its operations after its keys costs no more than so
// much memory, and no event is lost.
func TestSeriesAreBounded(t *testing.T) {
	o := newObserved(t)
	const events = 5000
	for i := range events {
		o.Observer().Observe(t.Context(), cache.Event{Kind: cache.EventTouchDropped, Op: fmt.Sprint(i)})
	}
	got, sum := o.metrics(t, "larder.cache.events"), int64(0)
	for _, n := range got {
		sum += n
	}
	if len(got) > 501 || sum != events {
		t.Errorf("got %d series of %d events, want at most 501 of %d", len(got), sum, events)
	}
}

func TestEventsFromManyGoroutines(t *testing.T) {
	o := newObserved(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 400 {
				o.Observer().Observe(t.Context(), cache.Event{Kind: cache.EventKind(3 + i%4), Layer: "x"})
			}
		})
	}
	wg.Wait()
	sum := int64(0)
	for _, n := range o.metrics(t, "larder.cache.events") {
		sum += n
	}
	if sum != 8*400 {
		t.Errorf("got %d events, want %d", sum, 8*400)
	}
}

func TestLoadSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newObserved(t)
		c, err := memory.New(&memory.Options{Observer: o.Observer()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		ctx, caller := o.tracer.Tracer("test").Start(t.Context(), "caller")
		_, err = cache.GetOrCreateExclusive(ctx, c, "user-17", func(ctx context.Context, _ *cache.Entry) (string, error) {
			_, inner := o.tracer.Tracer("test").Start(ctx, "query")
			time.Sleep(time.Second)
			inner.End()
			return "", errors.New("no row for user-17")
		})
		if err == nil {
			t.Fatal("got no error of the loader")
		}
		caller.End()
		spans := o.spans.GetSpans()
		load := named(t, spans, "larder.load")
		if got, want := load.Parent.SpanID(), caller.SpanContext().SpanID(); got != want {
			t.Errorf("parent: got %v, want the caller's %v", got, want)
		}
		if load.SpanContext.TraceID() != caller.SpanContext().TraceID() || load.SpanKind != trace.SpanKindInternal {
			t.Errorf("got %v of kind %v", load.SpanContext, load.SpanKind)
		}
		query := named(t, spans, "query")
		if !load.StartTime.Equal(query.StartTime) || !load.EndTime.Equal(query.EndTime) {
			t.Errorf("got %v to %v, want %v to %v", load.StartTime, load.EndTime, query.StartTime, query.EndTime)
		}
		if load.Status.Code != codes.Error || load.Status.Description != "_OTHER" {
			t.Errorf("status: got %v", load.Status)
		}
		set := attribute.NewSet(load.Attributes...)
		if got, want := attributes(t, set), "{error.type=_OTHER layer=load}"; got != want {
			t.Errorf("attributes: got %s, want %s", got, want)
		}
		if all := fmt.Sprintf("%+v", load); strings.Contains(all, "user-17") {
			t.Errorf("a key got into %s", all)
		}
	})
}

func TestServerFailureSpan(t *testing.T) {
	o := newObserved(t)
	e := cache.Event{Kind: cache.EventServerError, Layer: "redis", Op: "get", Duration: time.Second, Err: cache.ErrUnavailable}
	o.Observer().Observe(t.Context(), e)
	if got := o.spans.GetSpans(); len(got) != 0 {
		t.Errorf("without a caller's span: got %v, want none", got)
	}
	ctx, caller := o.tracer.Tracer("test").Start(t.Context(), "caller")
	o.Observer().Observe(ctx, e)
	caller.End()
	call := named(t, o.spans.GetSpans(), "get")
	if call.Parent.SpanID() != caller.SpanContext().SpanID() || call.SpanKind != trace.SpanKindClient ||
		call.EndTime.Sub(call.StartTime) != time.Second || call.Status.Description != "unavailable" {
		t.Errorf("got %+v", call)
	}
	set := attribute.NewSet(call.Attributes...)
	want := "{db.operation.name=get db.system.name=redis error.type=unavailable layer=redis}"
	if got := attributes(t, set); got != want {
		t.Errorf("attributes: got %s, want %s", got, want)
	}
}

func TestLoadOfWhatIsNotThereIsNoFailure(t *testing.T) {
	o := newObserved(t)
	o.Observer().Observe(t.Context(), cache.Event{Kind: cache.EventLoad, Layer: "load", Err: cache.ErrNotFound})
	if got := named(t, o.spans.GetSpans(), "larder.load").Status.Code; got != codes.Unset {
		t.Errorf("status: got %v, want %v", got, codes.Unset)
	}
}

func named(t *testing.T, spans tracetest.SpanStubs, name string) tracetest.SpanStub {
	t.Helper()
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no span %q among %d", name, len(spans))
	return tracetest.SpanStub{}
}
