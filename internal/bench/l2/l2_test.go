package l2

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

// fake is a client over a map.
func fake() *Client {
	var mu sync.Mutex
	held := map[string][]byte{}
	return &Client{
		Name: "fake",
		Get: func(_ context.Context, key string) ([]byte, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			value, ok := held[key]
			return value, ok, nil
		},
		Set: func(_ context.Context, key string, value []byte) error {
			mu.Lock()
			defer mu.Unlock()
			held[key] = value
			return nil
		},
	}
}

func TestMeasureCountsEveryCall(t *testing.T) {
	c, keys := fake(), Keys(0, 100, 50)
	if err := c.Fill(t.Context(), keys, 100); err != nil {
		t.Fatal(err)
	}
	for _, op := range []Op{Get, Set} {
		o := Measure(t.Context(), c, keys, Load{op, 100, 4}, 5*time.Millisecond)
		if o.Failed != 0 || o.Latency.Count() < 4 || o.PerSecond <= 0 {
			t.Errorf("%s: got %d calls, %d failed, %v per second", op, o.Latency.Count(), o.Failed, o.PerSecond)
		}
	}
}

func TestMissesErrorsAndOtherLengthsAreFailures(t *testing.T) {
	keys := Keys(0, 100, 50)
	broken := fake()
	broken.Get = func(context.Context, string) ([]byte, bool, error) { return nil, false, errors.New("broken") }
	short := fake()
	if err := short.Fill(t.Context(), keys, 99); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Client{"empty": fake(), "broken": broken, "short": short} {
		o := Measure(t.Context(), c, keys, Load{Get, 100, 2}, time.Millisecond)
		if o.Failed != o.Latency.Count() {
			t.Errorf("%s: got %d of %d failed, want all", name, o.Failed, o.Latency.Count())
		}
	}
}

func TestKeysAreDistinctAndOf16Bytes(t *testing.T) {
	seen := map[string]bool{}
	for client := range 5 {
		for _, size := range sizes {
			for _, key := range Keys(client, size, 100) {
				if len(key) != 16 || seen[key] {
					t.Fatalf("got key %q, want a new one of 16 bytes", key)
				}
				seen[key] = true
			}
		}
	}
}

func TestReportComparesWithPlainGoRedis(t *testing.T) {
	result := func(client string, perSecond float64, failed uint64) *Result {
		return &Result{
			Cell:      Cell{client, Load{Get, 100, 64}},
			PerSecond: bench.Sample{perSecond}, P50: bench.Sample{2000}, P99: bench.Sample{3e6, 4e6}, Failed: failed,
		}
	}
	report := Report([]*Result{result(Larder, 400_000, 0), result(Plain, 100_000, 3)})
	for _, want := range []string{"400,000 | 4.00x", "100,000 | 1.00x", "2.00 µs", "3.50 ms (3.00 ms..4.00 ms)", "failed |", " 3 |"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}
