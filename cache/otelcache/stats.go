package otelcache

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/larder-go/larder/cache"
)

const (
	nameKey   = attribute.Key("larder.cache.name")
	layerKey  = attribute.Key("larder.cache.layer")
	resultKey = attribute.Key("larder.cache.result")
)

// instrument is a metric that is read from cache.Stats.
type instrument struct {
	counter metric.Int64Observable
	level   bool // of what there is now, not of what happened
	series  []series
}

type series struct {
	attrs []attribute.KeyValue
	read  func(cache.Stats) int64
}

// one is the series of a metric without attributes of its own.
func one(read func(cache.Stats) uint64) []series {
	return []series{{read: func(s cache.Stats) int64 { return int64(read(s)) }}}
}

// description is what an instrument is made of.
type description struct {
	name, unit, text string
	series           []series
}

func counters() []description {
	return []description{
		{"larder.cache.lookups", "{lookup}", "Reads of the cache.", []series{
			{[]attribute.KeyValue{resultKey.String("hit")}, func(s cache.Stats) int64 { return int64(s.Hits) }},
			{[]attribute.KeyValue{resultKey.String("miss")}, func(s cache.Stats) int64 { return int64(s.Misses) }},
		}},
		{"larder.cache.sets", "{entry}", "Entries stored, fills included.",
			one(func(s cache.Stats) uint64 { return s.Sets })},
		{"larder.cache.removes", "{key}", "Keys removed by call.",
			one(func(s cache.Stats) uint64 { return s.Removes })},
		{"larder.cache.loads", "{load}", "Loads run.",
			one(func(s cache.Stats) uint64 { return s.Loads })},
		{"larder.cache.load.errors", "{load}", "Loads that ended with an error.",
			one(func(s cache.Stats) uint64 { return s.LoadErrors })},
		{"larder.cache.load.shared", "{call}", "Callers that waited for another's load.",
			one(func(s cache.Stats) uint64 { return s.LoadsShared })},
		{"larder.cache.fill.refused", "{fill}", "Load results not stored.",
			one(func(s cache.Stats) uint64 { return s.FillsRefused })},
		{"larder.cache.lease.lost", "{load}", "Loads that found their lease gone.",
			one(func(s cache.Stats) uint64 { return s.LeasesLost })},
		{"larder.cache.join.refused", "{load}", "Loads in flight that were not joined.",
			one(func(s cache.Stats) uint64 { return s.JoinsRefused })},
		{"larder.cache.stale.hits", "{value}", "Values returned past their SoftTTL or TTL.",
			one(func(s cache.Stats) uint64 { return s.StaleHits })},
		{"larder.cache.refreshes", "{load}", "Loads for entries that were there.",
			one(func(s cache.Stats) uint64 { return s.Refreshes })},
		{"larder.cache.errors.cached", "{error}", "Errors of earlier loads that were returned.",
			one(func(s cache.Stats) uint64 { return s.ErrorsCached })},
		{"larder.cache.evictions", "{entry}", "Entries that left to make room.",
			one(func(s cache.Stats) uint64 { return s.Evictions })},
		{"larder.cache.expirations", "{entry}", "Entries that left because of their age.",
			one(func(s cache.Stats) uint64 { return s.Expirations })},
		{"larder.cache.undecodable", "{entry}", "Entries that were corrupt, foreign or of another schema.",
			one(func(s cache.Stats) uint64 { return s.Undecodable })},
		{"larder.cache.server.errors", "{call}", "Calls to the server that failed.",
			one(func(s cache.Stats) uint64 { return s.ServerErrors })},
		{"larder.cache.server.rejected", "{call}", "Calls not sent because the breaker was open.",
			one(func(s cache.Stats) uint64 { return s.Rejected })},
	}
}

func levels() []description {
	return []description{
		{"larder.cache.entries", "{entry}", "Entries held now.",
			[]series{{read: func(s cache.Stats) int64 { return s.Entries }}}},
		{"larder.cache.size", "By", "Weight of the entries held now.",
			[]series{{read: func(s cache.Stats) int64 { return s.Bytes }}}},
	}
}

func newInstruments(meter metric.Meter) (made []instrument, err error) {
	for _, d := range counters() {
		c, failed := meter.Int64ObservableCounter(d.name, metric.WithUnit(d.unit), metric.WithDescription(d.text))
		err = errors.Join(err, failed)
		made = append(made, instrument{counter: c, series: d.series})
	}
	for _, d := range levels() {
		c, failed := meter.Int64ObservableUpDownCounter(d.name, metric.WithUnit(d.unit), metric.WithDescription(d.text))
		err = errors.Join(err, failed)
		made = append(made, instrument{counter: c, series: d.series, level: true})
	}
	return made, err
}

// source is a registered cache.
type source struct {
	cache  cache.StatsReporter
	values []value
}

// value is one series of a source.
type value struct {
	counter metric.Int64Observable
	read    func(cache.Stats) int64
	with    metric.ObserveOption

	// seen says whether a level was ever other than 0. Until then the cache may
	// be one that does not know it, and a size of 0 would be wrong.
	seen *atomic.Bool // nil for what is always reported
}

func newSource(from []instrument, base []attribute.KeyValue, layer string, c cache.StatsReporter) *source {
	s := &source{cache: c}
	base = append(slices.Clone(base), layerKey.String(layer))
	for _, i := range from {
		for _, of := range i.series {
			set := attribute.NewSet(append(slices.Clone(base), of.attrs...)...)
			v := value{counter: i.counter, read: of.read, with: metric.WithAttributeSet(set)}
			if i.level {
				v.seen = new(atomic.Bool)
			}
			s.values = append(s.values, v)
		}
	}
	return s
}

// collect is a metric.Callback.
func (s *source) collect(_ context.Context, o metric.Observer) error {
	stats := s.cache.Stats()
	for _, v := range s.values {
		n := v.read(stats)
		if v.seen != nil {
			if n != 0 {
				v.seen.Store(true)
			}
			if !v.seen.Load() {
				continue
			}
		}
		o.ObserveInt64(v.counter, n, v.with)
	}
	return nil
}
