package inspect

import (
	"slices"
	"strings"
	"time"

	"github.com/larder-go/larder/cache"
)

// field is a count in Stats.
type field func(cache.Stats) uint64

func hits(s cache.Stats) uint64         { return s.Hits }
func misses(s cache.Stats) uint64       { return s.Misses }
func loads(s cache.Stats) uint64        { return s.Loads }
func loadErrors(s cache.Stats) uint64   { return s.LoadErrors }
func serverErrors(s cache.Stats) uint64 { return s.ServerErrors }
func rejected(s cache.Stats) uint64     { return s.Rejected }

// history is what the samples say of one source: since it was added.
type history struct {
	times []time.Time
	stats []cache.Stats
}

func newHistory(frames []frame, source int) history {
	var h history
	for _, f := range frames {
		if source < len(f.stats) {
			h.times = append(h.times, f.at)
			h.stats = append(h.stats, f.stats[source])
		}
	}
	return h
}

// between returns how much f grew in the interval that ends with sample n. A
// count that shrank began anew.
func (h history) between(n int, f field) uint64 {
	before, now := f(h.stats[n-1]), f(h.stats[n])
	if now < before {
		return now
	}
	return now - before
}

// ends returns the times at which intervals ended.
func (h history) ends() []time.Time {
	if len(h.times) == 0 {
		return []time.Time{}
	}
	return h.times[1:]
}

// each returns what value says of each interval.
func (h history) each(value func(n int) number) []number {
	values := []number{}
	for n := 1; n < len(h.times); n++ {
		values = append(values, value(n))
	}
	return values
}

func (h history) rateAt(n int, f field) number {
	elapsed := h.times[n].Sub(h.times[n-1]).Seconds()
	if elapsed <= 0 {
		return gap()
	}
	return number(float64(h.between(n, f)) / elapsed)
}

// rate returns how much f grew per second in the latest interval.
func (h history) rate(f field) number {
	if len(h.times) < 2 {
		return gap()
	}
	return h.rateAt(len(h.times)-1, f)
}

func (h history) rates(f field) []number {
	return h.each(func(n int) number { return h.rateAt(n, f) })
}

func (h history) hitRatio(n int) number {
	found, not := h.between(n, hits), h.between(n, misses)
	return number(float64(found) / float64(found+not)) // a gap where nothing was read
}

func (h history) any(f func(cache.Stats) bool) bool { return slices.ContainsFunc(h.stats, f) }

// plots returns what is worth a plot: what a source never had has none.
func (h history) plots() []plot {
	times := h.ends()
	plots := []plot{
		{"Hit ratio", ratio, times, []line{{"hits of reads", h.each(h.hitRatio)}}},
		{"Reads", perSecond, times, []line{{"hits", h.rates(hits)}, {"misses", h.rates(misses)}}},
		{"Loads", perSecond, times, []line{{"loads", h.rates(loads)}, {"of these, failed", h.rates(loadErrors)}}},
	}
	if h.any(func(s cache.Stats) bool { return s.Bytes > 0 }) {
		weight := h.each(func(n int) number { return number(h.stats[n].Bytes) })
		plots = append(plots, plot{"Weight", bytesHeld, times, []line{{"entries' weight", weight}}})
	}
	if h.any(func(s cache.Stats) bool { return s.ServerErrors+s.Rejected > 0 }) {
		plots = append(plots, plot{"Server", perSecond, times, []line{
			{"calls failed", h.rates(serverErrors)}, {"refused by the breaker", h.rates(rejected)},
		}})
	}
	return plots
}

// durationPlots returns a plot for each series of a source, ordered by name.
func durationPlots(frames []frame, order []series, source string) []plot {
	plots := []plot{}
	for n, s := range order {
		if s.source != source {
			continue
		}
		p := plot{Title: "Duration: " + s.String(), Unit: seconds, Times: []time.Time{}}
		median, slowest := line{"half are faster", []number{}}, line{"99 % are faster", []number{}}
		for _, f := range frames {
			if n >= len(f.durations) {
				continue
			}
			p.Times = append(p.Times, f.at)
			q := f.durations[n]
			if q.count == 0 {
				median.Values = append(median.Values, gap())
				slowest.Values = append(slowest.Values, gap())
				continue
			}
			median.Values = append(median.Values, number(q.p50.Seconds()))
			slowest.Values = append(slowest.Values, number(q.p99.Seconds()))
		}
		p.Lines = []line{median, slowest}
		plots = append(plots, p)
	}
	slices.SortStableFunc(plots, func(a, b plot) int { return strings.Compare(a.Title, b.Title) })
	return plots
}
