package nearhit

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/larder-go/larder/distributed/near"
)

// tailHits is how many hits are timed one by one in a turn. All fit into the time
// in which a silent server does not count as lost.
const tailHits = 50_000

// BenchmarkHitTail times hits in turns while Redis is healthy and while it is frozen.
// The clock's own time, which is read for each hit, is in the figures.
func BenchmarkHitTail(b *testing.B) {
	server := start(b)
	c := openNearOf(b, server.Addr, near.Options{Bound: 10 * time.Second})
	h := typed(b, "near", c)
	var healthy, frozen []time.Duration
	for b.Loop() {
		check(b, h.get(b.Context()))
		healthy = timeHits(b, h, healthy)
		check(b, server.Freeze())
		frozen = timeHits(b, h, frozen)
		check(b, server.Thaw())
		for lost := c.Contact().AsOf; !c.Contact().AsOf.After(lost); { // it has answered again
			time.Sleep(time.Millisecond)
		}
	}
	b.ReportMetric(0, "ns/op")
	reportTail(b, "healthy", healthy)
	reportTail(b, "frozen", frozen)
}

func timeHits(b *testing.B, h hit, all []time.Duration) []time.Duration {
	ctx := context.Background()
	for range tailHits {
		began := time.Now()
		err := h.get(ctx)
		all = append(all, time.Since(began))
		if err != nil {
			b.Fatal(err)
		}
	}
	return all
}

func reportTail(b *testing.B, name string, all []time.Duration) {
	slices.Sort(all)
	for _, q := range []struct {
		name string
		at   int // of a thousand
	}{{"p50", 500}, {"p99", 990}, {"p99.9", 999}} {
		b.ReportMetric(float64(all[(len(all)-1)*q.at/1000].Nanoseconds()), name+"-"+q.name+"-ns")
	}
}
