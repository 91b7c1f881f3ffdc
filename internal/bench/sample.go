package bench

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// Sample is what one quantity measured, one number per round.
type Sample []float64

// Median returns the middle of s, or the mean of the two middles; 0 if s is
// empty.
func (s Sample) Median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Min returns the least of s; 0 if s is empty.
func (s Sample) Min() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Min(s)
}

// Max returns the greatest of s; 0 if s is empty.
func (s Sample) Max() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Max(s)
}

// Ratio returns the median of s over that of reference; 0 if there is none.
func (s Sample) Ratio(reference Sample) float64 {
	if reference.Median() == 0 {
		return 0
	}
	return s.Median() / reference.Median()
}

// Rounds runs every cell once per round, each round in another order, so that
// noise from outside hits all cells alike. It stops at the first error.
func Rounds[C any](rounds int, cells []C, seed uint64, run func(round int, cell C) error) error {
	order := slices.Clone(cells)
	random := rand.New(rand.NewPCG(seed, seed))
	for round := range rounds {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for _, cell := range order {
			if err := run(round, cell); err != nil {
				return err
			}
		}
	}
	return nil
}

// Least returns the item with the least value, and false if there is none.
func Least[T any](items []T, value func(T) float64) (T, bool) {
	if len(items) == 0 {
		var zero T
		return zero, false
	}
	return slices.MinFunc(items, func(a, b T) int { return cmp.Compare(value(a), value(b)) }), true
}
