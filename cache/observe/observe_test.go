package observe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/cache/observe"
)

func TestAll(t *testing.T) {
	if o := observe.All(nil, nil); o != nil {
		t.Errorf("of none: got %v, want nil", o)
	}
	var told []string
	note := func(name string) cache.Observer {
		return cache.ObserverFunc(func(_ context.Context, e cache.Event) { told = append(told, name+" "+e.Kind.String()) })
	}
	observe.All(nil, note("a"), nil).Observe(t.Context(), cache.Event{Kind: cache.EventHit})
	observe.All(note("b"), nil, note("c")).Observe(t.Context(), cache.Event{Kind: cache.EventMiss})
	if want := []string{"a hit", "b miss", "c miss"}; !slices.Equal(told, want) {
		t.Errorf("got %q, want %q", told, want)
	}
}

func TestErrorType(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
		why  string
	}{
		{nil, "", "no error"},
		{errors.New("user-17"), observe.OtherError, "text must not get out"},
		{fmt.Errorf("x: %w", cache.ErrLeaseLost), "lease_lost", "wrapped"},
		{&cache.OpError{Op: "get", Key: "k", Err: cache.ErrClosed}, "closed", "carried"},
		{&cache.LoaderPanicError{Value: "v"}, "loader_panic", "by its Is method"},
		{fmt.Errorf("%w: %w", cache.ErrUnavailable, context.DeadlineExceeded), "unavailable", "larder's own stands first"},
		{fmt.Errorf("%w: %w", cache.ErrLoadTimeout, context.DeadlineExceeded), "load_timeout", "larder's own stands first"},
		{context.Canceled, "canceled", "a caller's loader gave up"},
	} {
		if got := observe.ErrorType(tc.err); got != tc.want {
			t.Errorf("%v: got %q, want %q: %s", tc.err, got, tc.want, tc.why)
		}
	}
}

// recorder returns a logger without times, and what it wrote, a line each.
func recorder(level slog.Level) (*slog.Logger, func() []string) {
	var mu sync.Mutex
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, &out}, &slog.HandlerOptions{Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.MessageKey {
				return slog.Attr{}
			}
			return a
		}}))
	return logger, func() []string {
		mu.Lock()
		defer mu.Unlock()
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		out.Reset()
		return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
	}
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}

func TestLogWritesWhatNeedsAttention(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, tc := range []struct {
		e    cache.Event
		want string // "" for nothing
	}{
		{cache.Event{Kind: cache.EventHit}, ""},
		{cache.Event{Kind: cache.EventMiss}, ""},
		{cache.Event{Kind: cache.EventKind(250)}, ""},
		{cache.Event{Kind: cache.EventEviction, Detail: "capacity"}, ""},
		{cache.Event{Kind: cache.EventLoad, Err: errors.New("SELECT user-17")}, ""},
		{cache.Event{Kind: cache.EventFillRefused, Err: cache.ErrLeaseLost}, ""},
		{cache.Event{Kind: cache.EventNearContact}, "level=INFO cache=shop event=" + cache.EventNearContact.String() + " layer=test"},
		{cache.Event{Kind: cache.EventNearLost, Detail: "lost"}, "level=WARN cache=shop event=" + cache.EventNearLost.String() + " layer=test detail=lost"},
		{cache.Event{Kind: cache.EventIntentDropped}, "level=WARN cache=shop event=" + cache.EventIntentDropped.String() + " layer=test"},
		{cache.Event{Kind: cache.EventIntentLanded}, ""},
		{cache.Event{Kind: cache.EventDeadLetter}, "level=ERROR cache=shop event=dead_letter layer=test"},
		{cache.Event{Kind: cache.EventQueueError, Err: errors.New("user-17")}, "level=WARN cache=shop event=queue_error layer=test error_type=_OTHER"},
		{cache.Event{Kind: cache.EventQueueFull}, "level=WARN cache=shop event=queue_full layer=test"},
		{cache.Event{Kind: cache.EventLoad, Err: &cache.LoaderPanicError{Value: "user-17"}, Duration: time.Second},
			"level=ERROR cache=shop event=load layer=test error_type=loader_panic duration=1s"},
		{cache.Event{Kind: cache.EventServerError, Op: "get", Duration: time.Millisecond, Err: fmt.Errorf("%w: %w", cache.ErrUnavailable, refused)},
			`level=WARN cache=shop event=server_error layer=test op=get error_type=unavailable cause="connection refused" duration=1ms`},
		{cache.Event{Kind: cache.EventServerError, Op: "get", Err: fmt.Errorf("%w: %w", cache.ErrUnavailable, io.EOF)},
			`level=WARN cache=shop event=server_error layer=test op=get error_type=unavailable cause="connection lost"`},
		{cache.Event{Kind: cache.EventServerError, Op: "set", Err: fmt.Errorf("%w: %w", cache.ErrOutcomeUnknown, context.DeadlineExceeded)},
			"level=WARN cache=shop event=server_error layer=test op=set error_type=outcome_unknown cause=timeout"},
		{cache.Event{Kind: cache.EventServerError, Op: "get", Err: &net.DNSError{Name: "redis", IsTimeout: true}},
			`level=WARN cache=shop event=server_error layer=test op=get error_type=_OTHER cause="name not resolved"`},
		{cache.Event{Kind: cache.EventBreaker, Detail: "open"}, "level=WARN cache=shop event=breaker layer=test detail=open"},
		{cache.Event{Kind: cache.EventBreaker, Detail: "closed"}, "level=INFO cache=shop event=breaker layer=test detail=closed"},
		{cache.Event{Kind: cache.EventFillRefused, Err: cache.ErrValueTooLarge},
			"level=INFO cache=shop event=fill_refused layer=test error_type=value_too_large"},
		{cache.Event{Kind: cache.EventUndecodable, Op: "get", Err: errors.New("user-17")},
			"level=WARN cache=shop event=undecodable layer=test op=get error_type=_OTHER"},
		{cache.Event{Kind: cache.EventCallbackPanic, Op: "evict", Err: errors.New("user-17")},
			"level=ERROR cache=shop event=callback_panic layer=test op=evict error_type=_OTHER"},
	} {
		logger, lines := recorder(slog.LevelDebug)
		tc.e.Layer = "test"
		observe.NewLog(logger, &observe.LogOptions{Name: "shop"}).Observe(t.Context(), tc.e)
		if got := strings.Join(lines(), "\n"); got != tc.want {
			t.Errorf("%v %v:\ngot  %s\nwant %s", tc.e.Kind, tc.e.Err, got, tc.want)
		}
	}
}

func TestLogLimitsEachKindAndCountsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, lines := recorder(slog.LevelDebug)
		l := observe.NewLog(logger, nil)
		fails := cache.Event{Kind: cache.EventServerError, Layer: "redis", Op: "get"}
		expect := func(when string, want ...string) {
			t.Helper()
			if got := lines(); !slices.Equal(got, want) {
				t.Errorf("%s:\ngot  %q\nwant %q", when, got, want)
			}
		}
		const first = "level=WARN event=server_error layer=redis op=get"

		for range 1000 {
			l.Observe(t.Context(), fails)
		}
		l.Observe(t.Context(), cache.Event{Kind: cache.EventBreaker, Layer: "redis", Detail: "open"})
		l.Observe(t.Context(), cache.Event{Kind: cache.EventBreaker, Layer: "redis", Detail: "closed"})
		expect("at once", first,
			"level=WARN event=breaker layer=redis detail=open",
			"level=INFO event=breaker layer=redis detail=closed")

		time.Sleep(observe.DefaultInterval - time.Nanosecond)
		l.Observe(t.Context(), fails)
		expect("just before the interval's end")
		time.Sleep(time.Nanosecond)
		l.Observe(t.Context(), fails)
		expect("at its end", first+" suppressed=1000")

		l.Observe(t.Context(), fails)
		l.Flush(t.Context())
		expect("flushed", "level=WARN event=server_error layer=redis suppressed=1")
		l.Flush(t.Context())
		expect("flushed again")
		time.Sleep(observe.DefaultInterval)
		l.Observe(t.Context(), fails)
		expect("after the flush", first)
	})
}

func TestLogOptions(t *testing.T) {
	logger, lines := recorder(slog.LevelWarn)
	l := observe.NewLog(logger, &observe.LogOptions{Interval: -1,
		Level: func(e cache.Event) (slog.Level, bool) { return slog.LevelWarn, e.Kind == cache.EventKind(250) }})
	for range 3 {
		l.Observe(t.Context(), cache.Event{Kind: 250, Layer: "x"})
		l.Observe(t.Context(), cache.Event{Kind: cache.EventServerError, Layer: "x"})
	}
	if got := lines(); len(got) != 3 || got[0] != "level=WARN event=unknown layer=x" {
		t.Errorf("got %q, want three records of an unknown kind", got)
	}
	quiet := observe.NewLog(logger, nil)
	quiet.Observe(t.Context(), cache.Event{Kind: cache.EventBreaker, Detail: "closed"})
	quiet.Flush(t.Context())
	if got := lines(); len(got) != 0 {
		t.Errorf("below the logger's level: got %q, want nothing", got)
	}
}

func TestLogFromManyGoroutines(t *testing.T) {
	logger, lines := recorder(slog.LevelInfo)
	l := observe.NewLog(logger, &observe.LogOptions{Interval: time.Hour})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Observe(t.Context(), cache.Event{Kind: cache.EventServerError, Layer: "redis"})
			}
		})
	}
	wg.Wait()
	l.Flush(t.Context())
	want := []string{"level=WARN event=server_error layer=redis", "level=WARN event=server_error layer=redis suppressed=799"}
	if got := lines(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
