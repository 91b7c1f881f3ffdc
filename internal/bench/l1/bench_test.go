package l1

import (
	"runtime"
	"sync"
	"testing"
)

// benchKeys is less than KeyCount, so that one iteration of every benchmark
// takes a moment only.
const benchKeys = 10_000

func BenchmarkPointer(b *testing.B) { benchmark(b, NewSource(benchKeys, Pointer)) }

func BenchmarkStruct(b *testing.B) { benchmark(b, NewSource(benchKeys, Value)) }

func benchmark[V any](b *testing.B, s *Source[V]) {
	caches, err := Open(s)
	if err != nil {
		b.Fatal(err)
	}
	defer CloseAll(caches)
	for _, w := range []*Workload{Hot(s), Zipf(s)} {
		for _, call := range Calls(caches) {
			b.Run(w.Name+"/"+call.Name, func(b *testing.B) { parallel(b, w, call) })
		}
	}
	if n := s.Loads(); n > 0 {
		b.Errorf("%d loads, want none", n)
	}
}

// parallel shares b.N calls between as many goroutines as may run at once.
func parallel(b *testing.B, w *Workload, call Call) {
	b.ReportAllocs()
	workers := runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	b.ResetTimer()
	for i := range workers {
		n := b.N / workers
		if i == 0 {
			n += b.N % workers
		}
		all.Go(func() {
			if failed := call.Loop(w, i*steps/workers, n); failed > 0 {
				b.Errorf("%d calls failed", failed)
			}
		})
	}
	all.Wait()
}
