package faults

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Stampede is what happened when very many callers missed one key at once.
type Stampede struct {
	Cache      string
	Callers    int
	Loads      int64
	Served     int64 // callers that got the value
	Took       time.Duration
	Goroutines int // more than before, when the dust has settled
}

const (
	// stampedeLoad is how long the source takes.
	stampedeLoad = 100 * time.Millisecond
	settleTime   = 2 * time.Second
)

// Stampedes sends so many callers at one cold key of each cache. Without addr
// the caches on Redis are left out.
func Stampedes(ctx context.Context, addr string, callers int) ([]Stampede, error) {
	var found []Stampede
	var loads atomic.Int64
	source := func() load {
		loads.Store(0)
		return func(_ context.Context, key string) (string, error) {
			loads.Add(1)
			time.Sleep(stampedeLoad)
			return "value of " + key, nil
		}
	}
	err := each(addr, source, func(l *loader) error {
		// Another key first, so that connections and helpers are up.
		if _, err := l.get(ctx, "warm"); err != nil {
			return err
		}
		loads.Store(0)
		s := stampede(ctx, l, callers)
		s.Loads = loads.Load()
		found = append(found, s)
		return l.remove(ctx, "cold")
	})
	return found, err
}

func stampede(ctx context.Context, l *loader, callers int) Stampede {
	before := runtime.NumGoroutine()
	var served atomic.Int64
	var ready, all sync.WaitGroup
	start := make(chan struct{})
	ready.Add(callers)
	for range callers {
		all.Go(func() {
			ready.Done()
			<-start
			if value, err := l.get(ctx, "cold"); err == nil && value == "value of cold" {
				served.Add(1)
			}
		})
	}
	ready.Wait()
	began := time.Now()
	close(start)
	all.Wait()
	took := time.Since(began)
	return Stampede{
		Cache: l.name, Callers: callers, Served: served.Load(), Took: took,
		Goroutines: settled(before) - before,
	}
}

// settled returns the number of goroutines once it is at most want, or after
// settleTime.
func settled(want int) int {
	for deadline := time.Now().Add(settleTime); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if runtime.NumGoroutine() <= want {
			break
		}
	}
	return runtime.NumGoroutine()
}
