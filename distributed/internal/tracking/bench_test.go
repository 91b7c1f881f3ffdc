package tracking

import (
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
)

// BenchmarkSetToChanged is the time from the start of another client's SET to the
// event.
func BenchmarkSetToChanged(b *testing.B) {
	server := redistest.Server(b)
	arrived := make(chan time.Time, 1)
	l := New(server.Client(), Options{Prefix: "p:", Events: Events{Changed: func(string) { arrived <- time.Now() }}})
	defer shut(b, l)
	for supported := false; !supported; supported, _ = l.Supported() {
		do(b, server.Client(), "ping")
	}
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		do(b, server.Client(), "set", "p:k", "v")
		took = append(took, (<-arrived).Sub(start))
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		at := min(int(q*float64(len(took))), len(took)-1)
		b.ReportMetric(float64(took[at].Microseconds()), name+"-us")
	}
}
