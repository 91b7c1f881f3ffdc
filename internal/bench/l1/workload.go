package l1

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

const (
	// KeyCount is how many keys there are.
	KeyCount = 100_000
	// Capacity is the room of every cache, in entries.
	Capacity = 1 << 18
	// TTL is how long entries live.
	TTL = time.Hour

	steps = 1 << 16 // of a workload, a power of two
	mask  = steps - 1
	// skew is the exponent of Zipf's distribution.
	skew = 1.01
)

// Product is the value that the caches hold, 64 bytes by value.
type Product struct {
	ID      int64
	Name    string
	Price   int64
	Stock   int64
	Changed time.Time
}

// Pointer makes the product of id for caches of *Product.
func Pointer(id int64) *Product { p := Value(id); return &p }

// Value makes the product of id for caches of Product.
func Value(id int64) Product {
	return Product{ID: id, Name: "product", Price: id * 3, Stock: id % 100, Changed: time.Unix(id, 0)}
}

// Source is where a cache's values come from: KeyCount of them, unless tests
// want fewer.
type Source[V any] struct {
	Keys   []string // 16 bytes each
	Values []V      // Values[i] belongs to Keys[i] and the id i
	loads  atomic.Int64
}

// NewSource returns a source of n values that make makes.
func NewSource[V any](n int, make func(id int64) V) *Source[V] {
	s := &Source[V]{}
	for i := range n {
		s.Keys = append(s.Keys, fmt.Sprintf("product-%08d", i))
		s.Values = append(s.Values, make(int64(i)))
	}
	return s
}

// Loads returns how often a loader ran.
func (s *Source[V]) Loads() int64 { return s.loads.Load() }

var errLoaded = errors.New("l1: a loader ran")

// load is every loader: the caches are full, so it must never run.
func (s *Source[V]) load(context.Context, string) (V, error) {
	s.loads.Add(1)
	var zero V
	return zero, errLoaded
}

// Workload is the order in which keys are asked for.
type Workload struct {
	Name string
	Keys []string
	IDs  []int64
}

// Hot returns a workload of one key.
func Hot[V any](s *Source[V]) *Workload {
	return workload("hot", s, func() uint64 { return uint64(len(s.Keys) / 2) })
}

// Zipf returns a workload of all keys, few of them often and most of them
// rarely.
func Zipf[V any](s *Source[V]) *Workload {
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, skew, 1, uint64(len(s.Keys)-1))
	scattered := random.Perm(len(s.Keys)) // or popular keys would be neighbours
	return workload("zipf", s, func() uint64 { return uint64(scattered[zipf.Uint64()]) })
}

func workload[V any](name string, s *Source[V], next func() uint64) *Workload {
	w := &Workload{Name: name}
	for range steps {
		id := next()
		w.Keys = append(w.Keys, s.Keys[id])
		w.IDs = append(w.IDs, int64(id))
	}
	return w
}
