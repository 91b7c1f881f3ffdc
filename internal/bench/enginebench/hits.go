package enginebench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/bench"
	"github.com/larder-go/larder/internal/engine"
	"github.com/larder-go/larder/memory"
)

// product is a value of 64 bytes.
type product struct{ fields [8]int64 }

// stamped is a value with what its region has in common: one pointer, and one
// load to see whether the region was expired.
type stamped struct {
	value  *product
	region *region
}

type region struct{ expired atomic.Bool }

const (
	ttl   = time.Hour
	steps = 1 << 16 // look-ups of a round, in an order drawn beforehand
)

// call is a way to look a key up.
type call struct {
	name string
	loop func(keys []string) (misses int)
}

func names(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("product-%08d", i)
	}
	return keys
}

// lookups fills each cache with all keys and returns the calls to compare, the
// bare map first.
func lookups(keys []string) []call {
	bare := make(map[string]*product)
	plain := engine.New(engine.Options[*product]{Limits: engine.Limits{Entries: int64(2 * len(keys))}})
	tokened := engine.New(engine.Options[stamped]{Limits: engine.Limits{Entries: int64(2 * len(keys))}})
	writing := otter.Must(&otter.Options[string, *product]{
		MaximumSize: 2 * len(keys), ExpiryCalculator: otter.ExpiryWriting[string, *product](ttl)})
	accessing := otter.Must(&otter.Options[string, *product]{
		MaximumSize: 2 * len(keys), ExpiryCalculator: otter.ExpiryAccessing[string, *product](ttl)})
	standing := new(region)
	deadline := plain.Now() + int64(ttl)
	for i, key := range keys {
		p := &product{[8]int64{int64(i)}}
		bare[key] = p
		must(plain.Set(engine.NewNode(key, p, 1, deadline, false)))
		must(tokened.Set(engine.NewNode(key, stamped{p, standing}, 1, deadline, false)))
		writing.Set(key, p)
		accessing.Set(key, p)
	}
	held, sliding := fillMemory(keys, cache.EntryOptions{TTL: ttl}), fillMemory(keys, cache.EntryOptions{SlidingExpiration: ttl})
	typed := cache.NewTyped[*product](held, nil)
	ctx, loads := context.Background(), 0
	return []call{
		{"map", loop(func(key string) *product { return bare[key] })},
		{"engine", loop(func(key string) *product { p, _ := plain.Get(key); return p })},
		{"engine, not counted", loop(func(key string) *product {
			if n := plain.Find(key); n != nil && plain.Live(n) {
				return n.Value
			}
			return nil
		})},
		{"engine with a region", loop(func(key string) *product {
			n := tokened.Find(key)
			if n == nil || !tokened.Live(n) || n.Value.region.expired.Load() {
				return nil
			}
			tokened.Hit()
			return n.Value.value
		})},
		{"the same, not counted", loop(func(key string) *product {
			n := tokened.Find(key)
			if n == nil || !tokened.Live(n) || n.Value.region.expired.Load() {
				return nil
			}
			return n.Value.value
		})},
		{"engine, sliding", loop(func(key string) *product {
			n := plain.Find(key)
			if n == nil || !plain.Slide(n, int64(ttl), engine.Never) {
				return nil
			}
			plain.Hit()
			return n.Value
		})},
		{"memory GetObject, one region", loop(func(key string) *product { return object(held.GetObject(ctx, key)) })},
		{"memory GetObject, sliding", loop(func(key string) *product { return object(sliding.GetObject(ctx, key)) })},
		{"Typed, one region, would load", loop(func(key string) *product {
			p, _ := cache.GetOrCreateExclusiveWith(ctx, typed, key, 0, noLoad)
			return p
		})},
		{"otter GetIfPresent", loop(func(key string) *product { p, _ := writing.GetIfPresent(key); return p })},
		{"otter Get with a closure", loop(func(key string) *product {
			p, _ := writing.Get(ctx, key, otter.LoaderFunc[string, *product](func(context.Context, string) (*product, error) {
				loads++
				return nil, otter.ErrNotFound
			}))
			return p
		})},
		{"otter GetIfPresent, sliding", loop(func(key string) *product { p, _ := accessing.GetIfPresent(key); return p })},
	}
}

// fillMemory returns a memory cache of all keys, each in the same region.
func fillMemory(keys []string, opts cache.EntryOptions) *memory.Cache {
	c, err := memory.New(&memory.Options{MaxEntries: 2 * len(keys)})
	must(err)
	opts.Size, opts.Tokens = 1, []cache.Token{cache.RegionToken("products")}
	for i, key := range keys {
		must(c.SetObject(context.Background(), key, &product{[8]int64{int64(i)}}, opts))
	}
	return c
}

func object(v any, found bool, _ error) *product {
	if !found {
		return nil
	}
	return v.(*product)
}

func noLoad(context.Context, int, *cache.Entry) (*product, error) { return nil, cache.ErrNotFound }

func loop(get func(key string) *product) func(keys []string) int {
	return func(keys []string) (misses int) {
		for _, key := range keys {
			if get(key) == nil {
				misses++
			}
		}
		return misses
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// Hits measures look-ups over that many keys by goroutines at once: nanoseconds
// per look-up of each, per call. A ratio of two numbers of one round is what
// counts. If only names parts of names, other calls than the bare map's are left
// out.
func Hits(keyCount, goroutines, rounds int, only ...string) (order []string, samples map[string]bench.Sample, err error) {
	keys := names(keyCount)
	random := rand.New(rand.NewPCG(1, 1))
	asked := make([]string, steps)
	for i := range asked {
		asked[i] = keys[random.IntN(len(keys))]
	}
	calls := slices.DeleteFunc(lookups(keys), func(c call) bool {
		return c.name != "map" && len(only) > 0 && !slices.ContainsFunc(only, func(part string) bool { return strings.Contains(c.name, part) })
	})
	samples = make(map[string]bench.Sample)
	for _, c := range calls {
		order = append(order, c.name)
		c.loop(asked)
	}
	err = bench.Rounds(rounds, calls, 7, func(_ int, c call) error {
		if goroutines == 1 {
			return alone(c, asked, samples)
		}
		var misses atomic.Int64
		const repeats = 2
		start := time.Now()
		var workers sync.WaitGroup
		for range goroutines {
			workers.Go(func() {
				for range repeats {
					misses.Add(int64(c.loop(asked)))
				}
			})
		}
		workers.Wait()
		samples[c.name] = append(samples[c.name], float64(time.Since(start))/steps/repeats)
		if misses.Load() > 0 {
			return fmt.Errorf("enginebench: %s: %d misses", c.name, misses.Load())
		}
		return nil
	})
	return order, samples, err
}

// alone measures one goroutine. A turn is cut into parts, and their median
// counts: they are short beside what the system gives a process at a time, so
// few of them are interrupted.
func alone(c call, asked []string, samples map[string]bench.Sample) error {
	const part = 1 << 9
	var times bench.Sample
	misses := 0
	for from := 0; from < len(asked); from += part {
		start := time.Now()
		misses += c.loop(asked[from : from+part])
		times = append(times, float64(time.Since(start))/part)
	}
	if misses > 0 {
		return fmt.Errorf("enginebench: %s: %d misses", c.name, misses)
	}
	samples[c.name] = append(samples[c.name], times.Median())
	return nil
}
