package tracking

import (
	"slices"
	"testing"
	"time"
)

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		at := min(int(q*float64(len(took))), len(took)-1)
		b.ReportMetric(float64(took[at].Microseconds()), name+"-us")
	}
}
