package engine

import (
	"math/rand/v2"
	"testing"
)

// plainSketch counts as the textbook does: all counters of a key, each time.
type plainSketch struct{ sketch }

func (k *plainSketch) add(hash uint32) {
	for row := range sketchRows {
		if c := k.counter(hash, row); c.count() < sketchMax {
			c.raise(c.count() + 1)
		}
	}
}

// Until the counters are halved no estimate is too low, and none is higher than
// if all counters of a key were raised; some are lower.
func TestEstimatesAreSafeAndCloserThanPlainOnes(t *testing.T) {
	const entries, adds = 128, 1200
	var careful sketch
	var plain plainSketch
	careful.fit(entries)
	plain.fit(entries)
	random := rand.New(rand.NewPCG(3, 4))
	seen := make(map[uint32]uint32)
	for range adds {
		key := uint32(random.ExpFloat64() * 300)
		seen[key]++
		if got, want := careful.add(key, 1), careful.estimate(key); got != want {
			t.Fatalf("add says %d, the estimate is %d", got, want)
		}
		plain.add(key)
	}
	closer := 0
	for key, times := range seen {
		got, most := careful.estimate(key), plain.estimate(key)
		if got < min(times, sketchMax) || got > most {
			t.Errorf("key %d was seen %d times: got %d, want that or more, and %d at most", key, times, got, most)
		}
		if got < most {
			closer++
		}
	}
	if closer < len(seen)/10 {
		t.Errorf("%d of %d estimates are lower than plain ones, want a tenth or more", closer, len(seen))
	}
}

func TestEstimatesEndAtTheMost(t *testing.T) {
	var k sketch
	k.fit(1)
	for _, tc := range []struct{ by, want uint32 }{{0, 0}, {3, 3}, {3, 6}, {8, 14}, {3, sketchMax}, {3, sketchMax}} {
		if got := k.add(9, tc.by); got != tc.want || k.estimate(9) != tc.want {
			t.Errorf("%d more: got %d and an estimate of %d, want %d", tc.by, got, k.estimate(9), tc.want)
		}
	}
}

func TestEstimatesAreHalvedNowAndThen(t *testing.T) {
	var k sketch
	k.fit(leastSketch)
	k.add(1, 9)
	for i := range uint32(sketchSpan*leastSketch - 9) {
		k.add(1000+i, 1)
	}
	if got := k.estimate(1); got < 4 || got > 7 {
		t.Errorf("got an estimate of %d for 9 uses long ago, want half of that or what others made of it", got)
	}
}

func TestALargerSketchKnowsWhatTheSmallerOneDid(t *testing.T) {
	var k sketch
	k.fit(1)
	for key := range uint32(20) {
		k.add(key, key%sketchMax)
	}
	k.fit(100 * perWord * leastSketch)
	if len(k.words) < 100*leastSketch {
		t.Fatalf("got %d words, want %d", len(k.words), 100*leastSketch)
	}
	for key := range uint32(20) {
		if got := k.estimate(key); got < key%sketchMax {
			t.Errorf("key %d: got %d, want %d or more", key, got, key%sketchMax)
		}
	}
}
