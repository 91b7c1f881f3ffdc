package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/cache"
)

// counted is a cache of which only the numbers matter.
type counted struct {
	cache.Cache
	stats  atomic.Value // of cache.Stats
	panics bool
}

func newCounted(s cache.Stats) *counted {
	c := new(counted)
	c.stats.Store(s)
	return c
}

func (c *counted) Stats() cache.Stats {
	if c.panics {
		panic("no stats")
	}
	return c.stats.Load().(cache.Stats)
}

func start(t *testing.T, opts Options) *Inspector {
	t.Helper()
	opts.Authorize = func(*http.Request) bool { return true }
	i, err := New(&opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return i
}

func (i *Inspector) history(source int) history {
	i.mu.Lock()
	defer i.mu.Unlock()
	return newHistory(i.samples.list(), source)
}

func TestRatesAndRatiosAreThoseOfEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, Options{Interval: 10 * time.Second})
		c := newCounted(cache.Stats{})
		if err := i.Add(Source{Name: "c", Cache: c}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the first sample may or may not have the cache
		synctest.Wait()
		for _, s := range []cache.Stats{
			{Hits: 30, Misses: 10}, {Hits: 30, Misses: 10}, {Hits: 30, Misses: 30}, {Hits: 5},
		} {
			c.stats.Store(s)
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		h := i.history(0)
		ratios := h.each(h.hitRatio)
		got := fmt.Sprint(ratios[len(ratios)-4:])
		// Nothing was read in the second interval; the counts began anew in the last.
		if want := "[0.75 NaN 0 1]"; got != want {
			t.Errorf("got ratios %s, want %s", got, want)
		}
		rates := h.rates(hits)
		if got, want := fmt.Sprint(rates[len(rates)-4:]), "[3 0 0 0.5]"; got != want {
			t.Errorf("got rates %s, want %s", got, want)
		}
		if got := h.rate(misses); got != 0 {
			t.Errorf("got %v misses a second, want none lately", got)
		}
	})
}

func TestSamplesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, Options{Interval: time.Second, Samples: 5})
		c := newCounted(cache.Stats{})
		if err := i.Add(Source{Name: "c", Cache: c}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		time.Sleep(100*time.Second + time.Millisecond)
		synctest.Wait()
		h := i.history(0)
		if len(h.times) != 5 || cap(i.samples.frames) != 5 {
			t.Fatalf("got %d samples in room for %d, want 5 in 5", len(h.times), cap(i.samples.frames))
		}
		for n, at := range h.times {
			if want := time.Duration(96+n) * time.Second; at.Sub(begun) != want {
				t.Errorf("sample %d: got one of %v, want of %v", n, at.Sub(begun), want)
			}
		}
	})
}

func TestACacheThatPanicsIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, Options{})
		if err := i.Add(Source{Name: "broken", Cache: &counted{panics: true}}); err != nil {
			t.Fatal(err)
		}
		if err := i.Add(Source{Name: "fine", Cache: newCounted(cache.Stats{Hits: 7})}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := i.history(1).stats; len(got) < 2 || got[len(got)-1].Hits != 7 {
			t.Errorf("got %v", got)
		}
	})
}

func TestWithoutAuthorizeNothingIsSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // and no goroutine is left when it ends
		i, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		i.Observe(t.Context(), cache.Event{Kind: cache.EventLoad, Duration: 1})
		i.Observe(t.Context(), cache.Event{Kind: cache.EventBreaker, Layer: "redis", Detail: "open"})
		time.Sleep(time.Hour)
		if len(i.samples.list()) > 0 || len(i.durations.list()) > 0 || len(i.breakers.list()) > 0 {
			t.Error("something was noted")
		}
	})
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, Options{})
		release := make(chan struct{})
		if err := i.Add(Source{Name: "slow", Cache: slow{release: release}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := i.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
		close(release)
		if err := i.Close(t.Context()); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		var none context.Context
		if err := i.Close(none); !errors.Is(err, cache.ErrNilContext) {
			t.Errorf("got %v, want ErrNilContext", err)
		}
	})
}

// slow is a cache whose Stats waits.
type slow struct {
	cache.Cache
	release chan struct{}
}

func (s slow) Stats() cache.Stats {
	<-s.release
	return cache.Stats{}
}

func TestQuantilesAreAtMostSixPercentOff(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []time.Duration{2 * time.Microsecond, time.Millisecond, 300 * time.Millisecond, 3 * time.Second} {
		var h histogram
		var all []time.Duration
		for range 10_000 {
			d := time.Duration((1 + random.ExpFloat64()) * float64(scale))
			all = append(all, d)
			h.add(d)
		}
		slices.Sort(all)
		q := h.take()
		for _, test := range []struct {
			name      string
			got, want time.Duration
		}{{"p50", q.p50, all[4999]}, {"p99", q.p99, all[9899]}} {
			if off := math.Abs(float64(test.got)/float64(test.want) - 1); off > 0.065 {
				t.Errorf("%v: %s: got %v, want %v: %.1f %% off", scale, test.name, test.got, test.want, 100*off)
			}
		}
		if q.count != 10_000 || h.take() != (quantiles{}) {
			t.Errorf("got count %d and not nothing afterwards", q.count)
		}
	}
}

func TestBucketsAreInOrderAndHoldEverything(t *testing.T) {
	before := -1
	for d := time.Duration(1); d > 0; d += d/9 + 1 {
		n := bucketOf(d)
		if n < before || n >= buckets {
			t.Fatalf("%v: got bucket %d after %d of %d", d, n, before, buckets)
		}
		if off := math.Abs(float64(middle(n)-d)) / float64(d); d > 1024 && d < time.Minute && off > 0.0626 {
			t.Fatalf("%v: its bucket stands for %v", d, middle(n))
		}
		before = n
	}
	if before != buckets-1 || bucketOf(-time.Second) != 0 || bucketOf(math.MaxInt64) != buckets-1 {
		t.Errorf("got %d, %d, %d", before, bucketOf(-time.Second), bucketOf(math.MaxInt64))
	}
}

func TestSeriesAreBounded(t *testing.T) {
	var d durations
	for n := range 1000 {
		d.at(series{layer: "layer", op: fmt.Sprint(n)}).add(time.Millisecond)
	}
	order := d.list()
	if len(order) != maxSeries || order[maxSeries-1].String() != "others" {
		t.Fatalf("got %d series, the last %q", len(order), order[len(order)-1])
	}
	if got := d.take()[maxSeries-1].count; got != 1000-(maxSeries-1) {
		t.Errorf("got %d others", got)
	}
}

func TestSeriesAreTold(t *testing.T) {
	boom := errors.New("boom")
	for want, e := range map[string]cache.Event{
		"load":              {Kind: cache.EventLoad, Layer: "load", Err: boom},
		"redis get, failed": {Kind: cache.EventServerError, Layer: "redis", Op: "get", Err: boom},
		"redis set":         {Kind: cache.EventServerCall, Layer: "redis", Op: "set", Duration: 1},
	} {
		if got := seriesOf("", e).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A refresh is told as a load, too, and how late an invalidation was or for how long
// there was no contact is no latency.
func TestOnlyLoadsAndCallsAreDurations(t *testing.T) {
	i := start(t, Options{})
	for kind := cache.EventHit; kind.String() != "unknown"; kind++ {
		i.Observe(t.Context(), cache.Event{Kind: kind, Layer: kind.String(), Duration: time.Second})
	}
	var got []string
	for _, s := range i.durations.list() {
		got = append(got, s.String())
	}
	if want := []string{"load", "server_error", "server_call"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDurationsAreShownWithTheirSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, Options{})
		for _, name := range []string{"products", "sessions"} {
			if err := i.Add(Source{Name: name, Cache: newCounted(cache.Stats{})}); err != nil {
				t.Fatal(err)
			}
		}
		e := cache.Event{Kind: cache.EventLoad, Layer: "load", Duration: time.Second}
		i.ObserverOf("products").Observe(t.Context(), e)
		e.Duration = time.Millisecond
		i.Observe(t.Context(), e)
		time.Sleep(time.Minute)
		synctest.Wait()
		v := i.look(t.Context())
		at := func(plots []plot) float64 {
			last := plots[len(plots)-1]
			for _, value := range last.Lines[0].Values {
				if last.Title == "Duration: load" && !math.IsNaN(float64(value)) {
					return float64(value)
				}
			}
			return 0
		}
		products, sessions, others := at(v.Caches[0].Plots), at(v.Caches[1].Plots), at(v.Durations)
		if math.Abs(products-1) > 0.07 || sessions != 0 || math.Abs(others-0.001) > 0.0001 {
			t.Errorf("got %v, %v and %v seconds, want 1, none and 0.001", products, sessions, others)
		}
	})
}

func TestObserveAllocatesNothing(t *testing.T) {
	i := start(t, Options{})
	for name, o := range map[string]cache.Observer{"inspector": i, "of a source": i.ObserverOf("products")} {
		for _, e := range []cache.Event{{Kind: cache.EventHit}, {Kind: cache.EventLoad, Layer: "load", Duration: time.Millisecond}} {
			if got := testing.AllocsPerRun(100, func() { o.Observe(t.Context(), e) }); got != 0 {
				t.Errorf("%s: %v: got %v allocations", name, e.Kind, got)
			}
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	i, err := New(&Options{Authorize: func(*http.Request) bool { return true }})
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close(context.Background())
	for _, e := range []cache.Event{{Kind: cache.EventHit}, {Kind: cache.EventLoad, Layer: "load", Duration: time.Millisecond}} {
		b.Run(e.Kind.String(), func(b *testing.B) {
			for b.Loop() {
				i.Observe(b.Context(), e)
			}
		})
	}
}

func TestBreakersAreBoundedAndKeepTheLatest(t *testing.T) {
	var b breakers
	now := time.Now()
	for n := range 100 {
		b.note(breaker{"products", fmt.Sprint(n), "open", now})
	}
	b.note(breaker{"sessions", "3", "half-open", now})
	latest := breaker{"products", "3", "closed", now.Add(time.Second)}
	b.note(latest)
	list := b.list()
	if len(list) != maxBreakers || list[3] != latest {
		t.Errorf("got %d, %v", len(list), list[3])
	}
}

// usages ranks what it is given, and takes a while for each if it has one.
type usages struct {
	list  []usage
	pause time.Duration
	asked int
}

func (u *usages) EachUsage(yield func(string, int64, uint64) bool) {
	u.asked++
	for _, each := range u.list {
		time.Sleep(u.pause)
		if !yield(each.Key, each.Weight, each.Hits) {
			return
		}
	}
}

func TestTheListsAreThoseOfSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, size := range []int{0, 1, 4, 5, 6, 9, 10, 11, 1000} {
		u := new(usages)
		for n := range size {
			u.list = append(u.list, usage{fmt.Sprint("key", n), random.Int64N(20), random.Uint64N(20)})
		}
		got := (&ranking{ranker: u}).list(5, time.Minute)
		by := func(compare func(a, b usage) int) []usage {
			sorted := slices.Clone(u.list)
			slices.SortFunc(sorted, compare)
			return sorted[:min(5, size)]
		}
		largest := by(func(a, b usage) int {
			return cmp.Or(-cmp.Compare(a.Weight, b.Weight), -cmp.Compare(a.Hits, b.Hits), strings.Compare(a.Key, b.Key))
		})
		read := by(func(a, b usage) int {
			return cmp.Or(-cmp.Compare(a.Hits, b.Hits), -cmp.Compare(a.Weight, b.Weight), strings.Compare(a.Key, b.Key))
		})
		read = slices.DeleteFunc(read, func(u usage) bool { return u.Hits == 0 })
		if !slices.Equal(got.Largest, largest) || !slices.Equal(got.Read, read) || got.Visited != size || got.Cut {
			t.Errorf("%d entries: got %+v, want %v and %v", size, got, largest, read)
		}
	}
}

func TestEntriesAreVisitedOnceInAWhileAndNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &usages{pause: time.Millisecond}
		for n := range 100_000 {
			u.list = append(u.list, usage{fmt.Sprint(n), int64(n), 1})
		}
		r := &ranking{ranker: u}
		begun := time.Now()
		got := r.list(10, time.Minute)
		if took := time.Since(begun); took > 3*time.Second || !got.Cut || got.Visited == len(u.list) {
			t.Errorf("took %v for %d entries, cut %v", took, got.Visited, got.Cut)
		}
		r.list(10, time.Minute)
		if u.asked != 1 {
			t.Errorf("asked %d times, want once a minute", u.asked)
		}
		time.Sleep(time.Minute)
		r.list(10, time.Minute)
		if u.asked != 2 {
			t.Errorf("asked %d times, want again after a minute", u.asked)
		}
	})
}
