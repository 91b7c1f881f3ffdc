package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/larder-go/larder/internal/bench"
)

// ReportFrozen renders what callers saw while Redis was frozen.
func ReportFrozen(frozen []Frozen) string {
	t := &bench.Table{Header: []string{"call", "first call", "later calls: median", "longest", "served", "from thaw to use"}}
	for _, f := range frozen {
		median, longest := "", ""
		if len(f.Later) > 0 {
			median, longest = bound(f.Later.Median(), f.LaterCapped), bound(f.Later.Max(), f.LaterCapped)
		}
		t.Add(f.Caller, span(f.First, f.FirstCapped), median, longest,
			fmt.Sprintf("%d of %d", f.Served, f.Calls), span(f.Recovery, false))
	}
	return "### Redis frozen (SIGSTOP)\n\n" +
		"Redis stops answering and its connections stay open. Clients have their defaults.\n\n" + t.String() + "\n"
}

// ReportStampedes renders what came of many callers of one cold key.
func ReportStampedes(stampedes []Stampede) string {
	t := &bench.Table{Header: []string{"cache", "callers", "loads", "served", "all served after", "goroutines left"}}
	for _, s := range stampedes {
		t.Add(s.Cache, bench.Count(int64(s.Callers)), bench.Count(s.Loads),
			bench.Count(s.Served), bench.Span(s.Took), fmt.Sprint(s.Goroutines))
	}
	return fmt.Sprintf("### Many callers of one cold key\n\n"+
		"A load takes %v. Goroutines left are those more than before, %v later at most; a cache\n"+
		"may keep some for its next calls.\n\n", stampedeLoad, settleTime) + t.String() + "\n"
}

// span renders a sample of durations.
func span(s bench.Sample, capped bool) string {
	if len(s) == 0 {
		return ""
	}
	text := bound(s.Median(), capped)
	if len(s) > 1 {
		text += fmt.Sprintf(" (%s..%s)", bench.Span(time.Duration(s.Min())), bench.Span(time.Duration(s.Max())))
	}
	return text
}

func bound(nanos float64, capped bool) string {
	text := bench.Span(time.Duration(nanos))
	if capped {
		return strings.Join([]string{"more than", text}, " ")
	}
	return text
}
