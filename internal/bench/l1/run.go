package l1

import (
	"fmt"
	"io"
	"runtime"
	"sync"
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

// Cell is one thing that is measured.
type Cell struct {
	Values   string // "pointer" or "struct"
	Workload string
	Procs    int
	Call     string
}

// Result is what the rounds found of one cell.
type Result struct {
	Cell
	Kind                 Kind
	Nanos, Allocs, Bytes bench.Sample // per operation
}

// Run measures every call on values of both kinds and writes each measurement
// to raw in the Go benchmark format.
func Run(cfg Config, raw io.Writer) ([]*Result, error) {
	if cfg.Keys == 0 {
		cfg.Keys = KeyCount
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	results, err := run(cfg, raw, "pointer", NewSource(cfg.Keys, Pointer))
	if err != nil {
		return nil, err
	}
	byValue, err := run(cfg, raw, "struct", NewSource(cfg.Keys, Value))
	return append(results, byValue...), err
}

// task is one cell with what it takes to measure it.
type task struct {
	result   *Result
	call     Call
	workload *Workload
}

func run[V any](cfg Config, raw io.Writer, values string, s *Source[V]) ([]*Result, error) {
	caches, err := Open(s)
	if err != nil {
		return nil, err
	}
	defer CloseAll(caches)
	tasks := plan(values, Calls(caches), Hot(s), Zipf(s))
	err = bench.Rounds(cfg.Rounds, tasks, cfg.Seed, func(_ int, t *task) error {
		runtime.GOMAXPROCS(t.result.Procs)
		m, err := measure(t.call, t.workload, t.result.Procs, cfg.Duration)
		if err != nil {
			return err
		}
		t.result.add(m)
		_, err = t.result.line(m).WriteTo(raw)
		return err
	})
	if n := s.Loads(); err == nil && n > 0 {
		err = fmt.Errorf("l1: %d loads, want none", n)
	}
	results := make([]*Result, len(tasks))
	for i, t := range tasks {
		results[i] = t.result
	}
	return results, err
}

// Procs returns the values of GOMAXPROCS that are measured: 1, and all if there
// are more.
func Procs() []int {
	if n := runtime.NumCPU(); n > 1 {
		return []int{1, n}
	}
	return []int{1}
}

// plan lists what is measured: reads on both workloads, writes on the one of
// many keys, on one processor and on all.
func plan(values string, calls []Call, hot, zipf *Workload) []*task {
	var tasks []*task
	for _, call := range calls {
		for _, w := range []*Workload{hot, zipf} {
			if call.Kind == Store && w == hot {
				continue
			}
			for _, n := range Procs() {
				cell := Cell{Values: values, Workload: w.Name, Procs: n, Call: call.Name}
				tasks = append(tasks, &task{&Result{Cell: cell, Kind: call.Kind}, call, w})
			}
		}
	}
	return tasks
}

// measurement is one round of one cell.
type measurement struct {
	ops                  uint64
	nanos, allocs, bytes float64 // per operation
}

// batch is how many calls go between two looks at the clock.
const batch = 1 << 10

// measure runs the call on procs goroutines, for a tenth of the duration to
// warm up and then for all of it.
func measure(call Call, w *Workload, procs int, duration time.Duration) (measurement, error) {
	drive(call, w, procs, duration/10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ops, failed, took := drive(call, w, procs, duration)
	runtime.ReadMemStats(&after)
	if failed > 0 {
		return measurement{}, fmt.Errorf("l1: %s: %d of %d calls failed", call.Name, failed, ops)
	}
	n := float64(ops)
	return measurement{
		ops:    ops,
		nanos:  float64(took.Nanoseconds()) / n,
		allocs: float64(after.Mallocs-before.Mallocs) / n,
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, nil
}

func drive(call Call, w *Workload, procs int, duration time.Duration) (ops, failed uint64, took time.Duration) {
	type count struct {
		ops, failed uint64
		_           [48]byte // a cache line for each goroutine
	}
	counts := make([]count, procs)
	var all sync.WaitGroup
	start := time.Now()
	for g := range counts {
		all.Go(func() {
			c := &counts[g]
			for from := g * steps / procs; ; from += batch {
				c.failed += uint64(call.Loop(w, from, batch))
				c.ops += batch
				if time.Since(start) >= duration {
					return
				}
			}
		})
	}
	all.Wait()
	took = time.Since(start)
	for _, c := range counts {
		ops += c.ops
		failed += c.failed
	}
	return ops, failed, took
}

func (r *Result) add(m measurement) {
	r.Nanos = append(r.Nanos, m.nanos)
	r.Allocs = append(r.Allocs, m.allocs)
	r.Bytes = append(r.Bytes, m.bytes)
}

func (r *Result) line(m measurement) bench.Line {
	return bench.Line{
		Name: "L1/" + r.Values + "/" + r.Workload + "/" + r.Call, Procs: r.Procs, Ops: m.ops,
		Units: []bench.Unit{{Value: m.nanos, Name: "ns/op"}, {Value: m.bytes, Name: "B/op"}, {Value: m.allocs, Name: "allocs/op"}},
	}
}
