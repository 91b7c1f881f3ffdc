package l2

import (
	"context"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

// Op is what is measured.
type Op string

// The operations.
const (
	Get Op = "get"
	Set Op = "set"
)

// Load is what one measurement does: Goroutines that call as fast as they can.
type Load struct {
	Op         Op
	Size       int // of a value, in bytes
	Goroutines int
}

// Outcome is what one measurement found.
type Outcome struct {
	PerSecond float64
	Latency   bench.Histogram
	Failed    uint64 // calls that returned an error, missed, or read another length
}

// Measure runs l for the given time, after a warm-up of a tenth of it.
func Measure(ctx context.Context, c *Client, keys []string, l Load, duration time.Duration) *Outcome {
	value := Payload(l.Size)
	call := func(ctx context.Context, key string) bool { return c.Set(ctx, key, value) == nil }
	if l.Op == Get {
		call = func(ctx context.Context, key string) bool {
			got, found, err := c.Get(ctx, key)
			return err == nil && found && len(got) == l.Size
		}
	}
	drive(ctx, keys, l.Goroutines, duration/10, call)
	return drive(ctx, keys, l.Goroutines, duration, call)
}

// drive calls from so many goroutines for the given time. They share nothing
// but the client: each has a context of its own, as the requests of a service
// have, or all of them would wait at the lock of one Done channel.
func drive(ctx context.Context, keys []string, goroutines int, duration time.Duration, call func(ctx context.Context, key string) bool) *Outcome {
	outcomes := make([]Outcome, goroutines)
	var all sync.WaitGroup
	start := time.Now()
	for g := range outcomes {
		all.Go(func() {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			o := &outcomes[g]
			next := g * len(keys) / goroutines
			for before := time.Now(); ; {
				if !call(ctx, keys[next%len(keys)]) {
					o.Failed++
				}
				next += 7919 // a prime: every key, in an order that is not the server's
				after := time.Now()
				o.Latency.Record(after.Sub(before))
				if after.Sub(start) >= duration {
					return
				}
				before = after
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	total := &outcomes[0]
	for i := 1; i < len(outcomes); i++ {
		total.Latency.Add(&outcomes[i].Latency)
		total.Failed += outcomes[i].Failed
	}
	total.PerSecond = float64(total.Latency.Count()) / took.Seconds()
	return total
}
