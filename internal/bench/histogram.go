package bench

import (
	"math/bits"
	"time"
)

const (
	subBits    = 5 // 32 buckets per power of two: 3 % apart
	subBuckets = 1 << subBits
	buckets    = (64 - subBits) * subBuckets
)

// Histogram counts latencies in buckets that are 3 % wide. The zero value is
// empty. It is for one goroutine; see Add.
type Histogram struct {
	counts [buckets]uint64
	total  uint64
}

// Record counts d; a negative one as 0.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))]++
	h.total++
}

// Add counts all that other has counted.
func (h *Histogram) Add(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// Count returns how many latencies were recorded.
func (h *Histogram) Count() uint64 { return h.total }

// Percentile returns the latency that p percent are at or below, to the upper
// end of its bucket; 0 if h is empty.
func (h *Histogram) Percentile(p float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(1, uint64(float64(h.total)*p/100+0.5))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; seen >= rank {
			return time.Duration(upper(i))
		}
	}
	return time.Duration(upper(buckets - 1))
}

// bucket returns the index of n: n itself if it is small, and else its power of
// two and the bits that follow the first one.
func bucket(n uint64) int {
	if n < subBuckets {
		return int(n)
	}
	shift := bits.Len64(n) - 1 - subBits
	return (shift+1)*subBuckets + int(n>>shift) - subBuckets
}

// upper returns the greatest number in bucket i.
func upper(i int) uint64 {
	if i < subBuckets {
		return uint64(i)
	}
	shift := i/subBuckets - 1
	return (uint64(i%subBuckets)+subBuckets+1)<<shift - 1
}
