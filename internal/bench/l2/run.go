package l2

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

// Config says how much is measured.
type Config struct {
	Keys     int // 0: KeyCount
	Rounds   int
	Duration time.Duration // of one measurement
	Seed     uint64        // of the order
}

// Sizes and goroutines that are measured.
var (
	sizes      = [...]int{100, 1024}
	goroutines = [...]int{1, 8, 64, 256}
)

// Cell is one thing that is measured.
type Cell struct {
	Client string
	Load
}

// Result is what the rounds found of one cell. Latencies are in nanoseconds.
type Result struct {
	Cell
	PerSecond, P50, P99 bench.Sample
	Failed              uint64
}

type task struct {
	result *Result
	client *Client
	keys   []string
}

// Run measures every client on the server at addr and writes each measurement
// to raw in the Go benchmark format.
func Run(ctx context.Context, addr string, cfg Config, raw io.Writer) (results []*Result, err error) {
	if cfg.Keys == 0 {
		cfg.Keys = KeyCount
	}
	clients, err := Open(addr)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := CloseAll(clients); err == nil {
			err = closeErr
		}
	}()
	tasks, err := plan(ctx, clients, cfg.Keys)
	if err != nil {
		return nil, err
	}
	err = bench.Rounds(cfg.Rounds, tasks, cfg.Seed, func(_ int, t *task) error {
		o := Measure(ctx, t.client, t.keys, t.result.Load, cfg.Duration)
		t.result.add(o)
		_, err := t.result.line(o).WriteTo(raw)
		return err
	})
	for _, t := range tasks {
		results = append(results, t.result)
	}
	return results, err
}

// plan lists what is measured, and fills the server.
func plan(ctx context.Context, clients []*Client, count int) ([]*task, error) {
	var tasks []*task
	for _, op := range []Op{Get, Set} {
		for _, size := range sizes {
			for _, n := range goroutines {
				for i, c := range clients {
					l := Load{Op: op, Size: size, Goroutines: n}
					tasks = append(tasks, &task{&Result{Cell: Cell{c.Name, l}}, c, Keys(i, size, count)})
				}
			}
		}
	}
	for i, c := range clients {
		for _, size := range sizes {
			if err := c.Fill(ctx, Keys(i, size, count), size); err != nil {
				return nil, err
			}
		}
	}
	return tasks, nil
}

func (r *Result) add(o *Outcome) {
	r.PerSecond = append(r.PerSecond, o.PerSecond)
	r.P50 = append(r.P50, float64(o.Latency.Percentile(50)))
	r.P99 = append(r.P99, float64(o.Latency.Percentile(99)))
	r.Failed += o.Failed
}

func (r *Result) line(o *Outcome) bench.Line {
	return bench.Line{
		Name:  fmt.Sprintf("L2/%s/%dB/%dgoroutines/%s", r.Op, r.Size, r.Goroutines, r.Client),
		Procs: runtime.GOMAXPROCS(0), Ops: o.Latency.Count(),
		Units: []bench.Unit{
			{Value: 1e9 / o.PerSecond, Name: "ns/op"},
			{Value: o.PerSecond, Name: "ops/s"},
			{Value: float64(o.Latency.Percentile(50)), Name: "p50-ns"},
			{Value: float64(o.Latency.Percentile(99)), Name: "p99-ns"},
		},
	}
}
