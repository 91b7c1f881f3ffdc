package l2

import (
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

// Find returns the result of a cell, nil if it was not measured.
func Find(results []*Result, cell Cell) *Result {
	for _, r := range results {
		if r.Cell == cell {
			return r
		}
	}
	return nil
}

// Report renders the results in markdown, a table for each operation and size.
func Report(results []*Result) string {
	var b strings.Builder
	for _, op := range []Op{Get, Set} {
		for _, size := range sizes {
			fmt.Fprintf(&b, "### Redis: %s, %d B\n\n", describe(op), size)
			fmt.Fprintf(&b, "Median (min..max over rounds). The ratio is that of calls per second to %s.\n\n", Plain)
			b.WriteString(table(results, op, size).String() + "\n")
		}
	}
	return b.String()
}

func describe(op Op) string {
	if op == Get {
		return "read that hits"
	}
	return "write"
}

func table(results []*Result, op Op, size int) *bench.Table {
	t := &bench.Table{Header: []string{"client", "goroutines", "calls/s", "ratio", "p50", "p99"}}
	failed := false
	for _, r := range results {
		if r.Op != op || r.Size != size {
			continue
		}
		row := []string{
			r.Client, fmt.Sprint(r.Goroutines), bench.Spread(r.PerSecond),
			bench.Times(r.PerSecond.Ratio(reference(results, r.Load).PerSecond)),
			latency(r.P50), latency(r.P99),
		}
		if r.Failed > 0 {
			failed = true
			row = append(row, fmt.Sprint(r.Failed))
		}
		t.Add(row...)
	}
	if failed {
		t.Header = append(t.Header, "failed")
	}
	return t
}

func reference(results []*Result, l Load) *Result {
	if r := Find(results, Cell{Plain, l}); r != nil {
		return r
	}
	return &Result{}
}

// latency renders a sample of latencies by its median and range.
func latency(s bench.Sample) string {
	span := func(n float64) string { return bench.Span(time.Duration(n)) }
	if len(s) < 2 {
		return span(s.Median())
	}
	return fmt.Sprintf("%s (%s..%s)", span(s.Median()), span(s.Min()), span(s.Max()))
}
