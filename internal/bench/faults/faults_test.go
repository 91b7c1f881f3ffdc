package faults

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

// naive is a cache that neither shares loads nor ends them.
func naive(source load) *loader {
	var mu sync.Mutex
	held := map[string]string{}
	return &loader{
		name: "naive",
		get: func(ctx context.Context, key string) (string, error) {
			mu.Lock()
			value, ok := held[key]
			mu.Unlock()
			if ok {
				return value, nil
			}
			value, err := source(ctx, key)
			mu.Lock()
			held[key] = value
			mu.Unlock()
			return value, err
		},
		remove: func(_ context.Context, key string) error {
			mu.Lock()
			delete(held, key)
			mu.Unlock()
			return nil
		},
		close: func() error { return nil },
	}
}

func TestStampedeCountsCallersServed(t *testing.T) {
	release := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	s := stampede(t.Context(), naive(func(_ context.Context, key string) (string, error) {
		<-release
		return "value of " + key, nil
	}), 50)
	if s.Served != 50 || s.Callers != 50 || s.Goroutines > 0 {
		t.Errorf("got %+v, want all 50 served and no goroutine left", s)
	}
	wrong := stampede(t.Context(), naive(func(context.Context, string) (string, error) { return "another value", nil }), 50)
	if wrong.Served != 0 {
		t.Errorf("got %d served with another value, want none", wrong.Served)
	}
}

func TestReportsTellBoundsFromMeasurements(t *testing.T) {
	frozen := ReportFrozen([]Frozen{
		{Caller: "ours", First: bench.Sample{1e8, 1.1e8, 1.2e8}, Later: bench.Sample{2000, 9000, 3000}, Recovery: bench.Sample{1e6}, Served: 6, Calls: 6},
		{Caller: "theirs", First: bench.Sample{15e9}, FirstCapped: true, Later: bench.Sample{15e9}, LaterCapped: true, Calls: 2},
	})
	for _, want := range []string{"110 ms (100 ms..120 ms)", "3.00 µs", "9.00 µs", "6 of 6", "more than 15.0 s", "0 of 2"} {
		if !strings.Contains(frozen, want) {
			t.Errorf("the report lacks %q:\n%s", want, frozen)
		}
	}
	if got := ReportStampedes([]Stampede{{Cache: "a", Callers: 10_000, Loads: 1, Served: 10_000}}); !strings.Contains(got, "10,000 |     1 | 10,000") {
		t.Errorf("got\n%s\nwant counts as they are", got)
	}
}
