package inspect

import (
	"context"
	"maps"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/larder-go/larder/cache"
)

// Observe counts the durations of loads and of calls to servers, and notes what
// state the breakers are in; other events it passes over at once. See
// cache.Observer: it is to be the Observer of the caches, or to be called by it.
// It takes no lock, except for a series that is new and for breakers.
//
// What several caches report to it is counted together: see ObserverOf. Each node of
// a Cluster or a Ring has a breaker of its own, and events do not tell which: of these
// the page shows the state of the one that changed last.
func (i *Inspector) Observe(_ context.Context, e cache.Event) { i.observe("", e) }

// ObserverOf returns an Observer like the inspector itself, whose durations are
// shown with the source called name, before or after it is added.
func (i *Inspector) ObserverOf(name string) cache.Observer {
	return cache.ObserverFunc(func(_ context.Context, e cache.Event) { i.observe(name, e) })
}

func (i *Inspector) observe(source string, e cache.Event) {
	if i.opts.Authorize == nil {
		return
	}
	switch e.Kind {
	case cache.EventLoad, cache.EventServerCall, cache.EventServerError:
		i.durations.at(seriesOf(source, e)).add(e.Duration)
	case cache.EventBreaker:
		i.breakers.note(breaker{source, e.Layer, e.Detail, time.Now()})
	}
}

// series is what durations are told apart by.
type series struct {
	source    string // empty: not said
	layer, op string
	failed    bool // calls to servers: these are counted apart
}

func seriesOf(source string, e cache.Event) series {
	if e.Kind == cache.EventLoad {
		return series{source: source, layer: e.Layer}
	}
	return series{source, e.Layer, e.Op, e.Err != nil}
}

// String returns the name of the series within its source.
func (s series) String() string {
	name := s.layer
	if s.op != "" && s.op != name {
		name += " " + s.op
	}
	if s.failed {
		name += ", failed"
	}
	return name
}

// maxSeries bounds the memory: what comes later is counted as "others".
const maxSeries = 128

// durations counts durations by series. Known series are found without a lock.
type durations struct {
	known atomic.Pointer[map[series]*histogram] // copied on write

	mu    sync.Mutex
	order []series // grows only: a frame's quantiles are in this order
}

func (d *durations) at(s series) *histogram {
	if known := d.known.Load(); known != nil {
		if h := (*known)[s]; h != nil {
			return h
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var known map[series]*histogram
	if p := d.known.Load(); p != nil {
		known = *p
	}
	if len(known) >= maxSeries-1 {
		s = series{layer: "others"}
	}
	if h := known[s]; h != nil {
		return h
	}
	grown := maps.Clone(known)
	if grown == nil {
		grown = make(map[series]*histogram)
	}
	h := new(histogram)
	grown[s] = h
	d.order = append(d.order, s)
	d.known.Store(&grown)
	return h
}

// list returns the series so far.
func (d *durations) list() []series {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clip(d.order)
}

// take returns the quantiles of each series since the last take.
func (d *durations) take() []quantiles {
	order := d.list()
	if len(order) == 0 {
		return nil
	}
	known := *d.known.Load()
	taken := make([]quantiles, len(order))
	for n, s := range order {
		taken[n] = known[s].take()
	}
	return taken
}

// quantiles are those of the durations in one interval.
type quantiles struct {
	count    uint64
	p50, p99 time.Duration // 0 if count is
}

// histogram counts durations in buckets that are eight to an octave, so that
// what it returns is at most 6 % off; below a microsecond, at most 64 ns. Durations
// over a minute count as about that.
type histogram struct {
	counts [buckets]atomic.Uint64
}

const (
	unit    = 128 // ns: the width of the first buckets
	octaves = 27
	buckets = octaves * 8
	longest = 1<<(octaves+2) - 1 // units
)

func (h *histogram) add(d time.Duration) { h.counts[bucketOf(d)].Add(1) }

func bucketOf(d time.Duration) int {
	units := min(uint64(max(d, 0))/unit, longest)
	if units < 8 {
		return int(units)
	}
	octave := bits.Len64(units) - 4
	return octave*8 + int(units>>octave)
}

// middle returns the duration in the middle of a bucket.
func middle(bucket int) time.Duration {
	if bucket < 8 {
		return time.Duration((float64(bucket) + 0.5) * unit)
	}
	octave := bucket/8 - 1
	return time.Duration((float64(bucket%8+8) + 0.5) * unit * math.Exp2(float64(octave)))
}

// take empties the histogram. What is added meanwhile is in this interval or in
// the next.
func (h *histogram) take() quantiles {
	var counts [buckets]uint64
	var q quantiles
	for n := range h.counts {
		if h.counts[n].Load() > 0 {
			counts[n] = h.counts[n].Swap(0)
			q.count += counts[n]
		}
	}
	if q.count > 0 {
		q.p50, q.p99 = quantile(&counts, q.count, 0.5), quantile(&counts, q.count, 0.99)
	}
	return q
}

// quantile returns the duration that the share q of total durations do not
// exceed.
func quantile(counts *[buckets]uint64, total uint64, q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(total)))
	for n, count := range counts {
		if rank <= count {
			return middle(n)
		}
		rank -= count
	}
	return middle(buckets - 1)
}

// breaker is the state of a breaker as it was last told.
type breaker struct {
	Source string    `json:"cache,omitempty"`
	Layer  string    `json:"layer"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
}

// breakers holds the breakers that were told of.
type breakers struct {
	mu    sync.Mutex
	known []breaker
}

// maxBreakers bounds the memory; those beyond it are not shown.
const maxBreakers = 32

func (b *breakers) note(told breaker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, known := range b.known {
		if known.Source == told.Source && known.Layer == told.Layer {
			b.known[n] = told
			return
		}
	}
	if len(b.known) < maxBreakers {
		b.known = append(b.known, told)
	}
}

func (b *breakers) list() []breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.known)
}
