package bench

import (
	"errors"
	"slices"
	"testing"
)

func TestMedianOfAnyCount(t *testing.T) {
	for _, tc := range []struct {
		sample           Sample
		median, min, max float64
	}{
		{nil, 0, 0, 0},
		{Sample{5}, 5, 5, 5},
		{Sample{9, 1}, 5, 1, 9},
		{Sample{9, 1, 2}, 2, 1, 9},
		{Sample{4, 100, 1, 2}, 3, 1, 100},
	} {
		if got := tc.sample.Median(); got != tc.median {
			t.Errorf("Median of %v: got %v, want %v", tc.sample, got, tc.median)
		}
		if got := tc.sample.Min(); got != tc.min {
			t.Errorf("Min of %v: got %v, want %v", tc.sample, got, tc.min)
		}
		if got := tc.sample.Max(); got != tc.max {
			t.Errorf("Max of %v: got %v, want %v", tc.sample, got, tc.max)
		}
	}
}

func TestMedianKeepsTheOrderOfRounds(t *testing.T) {
	s := Sample{3, 1, 2}
	s.Median()
	if !slices.Equal(s, Sample{3, 1, 2}) {
		t.Errorf("got %v, want the sample as it was", s)
	}
}

func TestRatioIsThatOfTheMedians(t *testing.T) {
	if got := (Sample{6, 1, 100}).Ratio(Sample{2, 4, 3}); got != 2 {
		t.Errorf("got %v, want 6/3", got)
	}
	if got := (Sample{6}).Ratio(nil); got != 0 {
		t.Errorf("got %v, want 0 for no reference", got)
	}
}

func TestRoundsRunEachCellOncePerRoundInAnotherOrder(t *testing.T) {
	cells := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	ran := make([][]int, 3)
	err := Rounds(3, cells, 1, func(round, cell int) error {
		ran[round] = append(ran[round], cell)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(ran[0], ran[1]) || slices.Equal(ran[1], ran[2]) {
		t.Errorf("got %v, want different orders", ran)
	}
	for _, round := range ran {
		if slices.Sort(round); !slices.Equal(round, cells) {
			t.Errorf("got %v, want every cell once", round)
		}
	}
	if !slices.IsSorted(cells) {
		t.Error("the caller's cells were shuffled")
	}
}

func TestRoundsStopAtAnError(t *testing.T) {
	stop, runs := errors.New("stop"), 0
	err := Rounds(3, []int{1, 2, 3}, 1, func(int, int) error {
		runs++
		return stop
	})
	if !errors.Is(err, stop) || runs != 1 {
		t.Errorf("got %v after %d runs, want the error after one", err, runs)
	}
}

func TestLeast(t *testing.T) {
	value := func(n int) float64 { return float64(n) }
	if got, ok := Least([]int{3, 1, 2}, value); !ok || got != 1 {
		t.Errorf("got %v and %v, want 1", got, ok)
	}
	if _, ok := Least(nil, value); ok {
		t.Error("got a least of nothing")
	}
}
