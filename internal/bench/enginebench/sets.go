package enginebench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/engine"
	"github.com/larder-go/larder/memory"
)

// store is a cache that is written to.
type store struct {
	name  string
	set   func(key string, p *product)
	get   func(key string) bool
	close func()
}

func openEngine(capacity int) store {
	e := engine.New(engine.Options[*product]{Limits: engine.Limits{Entries: int64(capacity)}})
	return store{"engine", func(key string, p *product) {
		must(e.Set(engine.NewNode(key, p, 1, e.Now()+int64(ttl), false)))
	}, func(key string) bool { _, ok := e.Get(key); return ok }, e.Close}
}

func openMemory(capacity int) store {
	ctx := context.Background()
	c, err := memory.New(&memory.Options{MaxEntries: capacity})
	must(err)
	opts := cache.EntryOptions{TTL: ttl, Size: 1, Tokens: []cache.Token{cache.RegionToken("products")}}
	return store{"memory", func(key string, p *product) { must(c.SetObject(ctx, key, p, opts)) },
		func(key string) bool { _, ok, _ := c.GetObject(ctx, key); return ok }, func() { must(c.Close(ctx)) }}
}

func openOtter(capacity int) store {
	c := otter.Must(&otter.Options[string, *product]{
		MaximumSize: capacity, ExpiryCalculator: otter.ExpiryWriting[string, *product](ttl)})
	return store{"otter", func(key string, p *product) { c.Set(key, p) },
		func(key string) bool { _, ok := c.GetIfPresent(key); return ok }, func() { c.StopAllGoroutines() }}
}

// stores open the caches that are compared.
var stores = []func(capacity int) store{openEngine, openMemory, openOtter}

// Sets measures sets of new keys into a full cache, the clock read that a TTL
// takes included: nanoseconds each as a caller sees it, and nanoseconds of all
// cores together, goroutines of the cache's own and garbage collection included.
// The latter says more on a machine that others use too.
func Sets(capacity, goroutines, rounds int) (times, work map[string]bench.Sample, err error) {
	const each = 200_000
	times, work = make(map[string]bench.Sample), make(map[string]bench.Sample)
	keys := names(goroutines * each)
	p := new(product)
	err = bench.Rounds(rounds, stores, 3, func(_ int, open func(int) store) error {
		c := open(capacity)
		defer c.close()
		for i := range capacity {
			c.set(fmt.Sprint("first", i), p)
		}
		runtime.GC()
		start, before := time.Now(), coreTime()
		var workers sync.WaitGroup
		for g := range goroutines {
			workers.Go(func() {
				for _, key := range keys[g*each : (g+1)*each] {
					c.set(key, p)
				}
			})
		}
		workers.Wait()
		times[c.name] = append(times[c.name], float64(time.Since(start))/each)
		work[c.name] = append(work[c.name], float64(coreTime()-before)/float64(each*goroutines))
		return nil
	})
	return times, work, err
}

// coreTime returns how long cores have worked for this process.
func coreTime() time.Duration {
	var used syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// Churn measures the latency of reads, in nanoseconds at the 99.9th percentile,
// while another goroutine stores new keys as fast as it can.
func Churn(capacity, rounds int) (map[string]bench.Sample, error) {
	const reads = 1_000_000
	keys, p := names(capacity/2), new(product)
	samples := make(map[string]bench.Sample)
	err := bench.Rounds(rounds, stores, 5, func(_ int, open func(int) store) error {
		c := open(capacity)
		defer c.close()
		for _, key := range keys {
			c.set(key, p)
		}
		var stop atomic.Bool
		var writer sync.WaitGroup
		writer.Go(func() {
			fresh := names(4 * capacity)
			for i := 0; !stop.Load(); i++ {
				c.set(fresh[i%len(fresh)], p)
			}
		})
		var h bench.Histogram
		for i := range reads {
			start := time.Now()
			c.get(keys[i*7%len(keys)])
			h.Record(time.Since(start))
		}
		stop.Store(true)
		writer.Wait()
		samples[c.name] = append(samples[c.name], float64(h.Percentile(99.9)))
		return nil
	})
	return samples, err
}

// Heap measures bytes per entry: a key of 16 bytes and a value of 64 under a
// TTL, in a cache that is just full.
func Heap(entries int) map[string]float64 {
	result := make(map[string]float64)
	for _, open := range stores {
		before := heap()
		c := open(entries)
		for i := range entries {
			c.set(fmt.Sprintf("product-%08d", i), new(product))
		}
		result[c.name] = float64(heap()-before) / float64(entries)
		c.close()
		runtime.KeepAlive(c)
	}
	return result
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Collections measures garbage collections with that many entries in the heap:
// how long one takes, and the work of all cores, in milliseconds.
func Collections(entries, rounds int) (times, work map[string]bench.Sample) {
	times, work = make(map[string]bench.Sample), make(map[string]bench.Sample)
	for _, open := range stores {
		c := open(entries)
		for i := range entries {
			c.set(fmt.Sprintf("product-%08d", i), new(product))
		}
		runtime.GC()
		for range rounds {
			start, before := time.Now(), coreTime()
			runtime.GC()
			times[c.name] = append(times[c.name], float64(time.Since(start))/1e6)
			work[c.name] = append(work[c.name], float64(coreTime()-before)/1e6)
		}
		c.close()
		runtime.KeepAlive(c)
	}
	return times, work
}
