package bench

import (
	"math"
	"testing"
	"time"
)

func TestPercentilesOfAKnownDistribution(t *testing.T) {
	var h Histogram
	for i := 1; i <= 1000; i++ {
		h.Record(time.Duration(i) * time.Microsecond)
	}
	for _, tc := range []struct {
		p    float64
		want time.Duration
	}{
		{0, time.Microsecond}, {50, 500 * time.Microsecond}, {99, 990 * time.Microsecond}, {100, time.Millisecond},
	} {
		got := h.Percentile(tc.p)
		if got < tc.want || float64(got) > 1.04*float64(tc.want) {
			t.Errorf("p%v: got %v, want %v or at most 4 %% more", tc.p, got, tc.want)
		}
	}
	if h.Count() != 1000 {
		t.Errorf("got %d latencies, want 1000", h.Count())
	}
}

func TestHistogramsAddUp(t *testing.T) {
	var a, b, empty Histogram
	a.Record(time.Millisecond)
	b.Record(time.Second)
	b.Record(time.Second)
	a.Add(&b)
	a.Add(&empty)
	if a.Count() != 3 || a.Percentile(100) < time.Second || a.Percentile(1) > 2*time.Millisecond {
		t.Errorf("got %d latencies from %v to %v, want 3 from 1ms to 1s", a.Count(), a.Percentile(1), a.Percentile(100))
	}
	if empty.Percentile(50) != 0 {
		t.Error("got a percentile of nothing")
	}
}

func TestEveryDurationHasABucketThatHoldsIt(t *testing.T) {
	for _, n := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 1000, 123_456_789, math.MaxInt64} {
		i := bucket(n)
		if i >= buckets {
			t.Fatalf("%d: bucket %d of %d", n, i, buckets)
		}
		if n > upper(i) || i > 0 && n <= upper(i-1) {
			t.Errorf("%d is not in bucket %d, from %d to %d", n, i, upper(max(i-1, 0)), upper(i))
		}
	}
	var h Histogram
	h.Record(-time.Second)
	if h.Percentile(100) != 0 {
		t.Errorf("got %v, want a negative latency counted as 0", h.Percentile(100))
	}
}
