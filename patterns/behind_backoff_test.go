package patterns

import (
	"testing"
	"time"
)

func TestBackoffGrowsUpToItsCap(t *testing.T) {
	o := WriteBehindOptions[int, int]{Backoff: 100 * time.Millisecond, MaxBackoff: time.Minute}
	for n, ceiling := range map[int]time.Duration{
		0: 100 * time.Millisecond, 1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 10: 51200 * time.Millisecond,
		11: time.Minute, 31: time.Minute, 32: time.Minute, 64: time.Minute, 1 << 30: time.Minute,
	} {
		var longest time.Duration
		for range 1000 {
			d := o.backoff(n)
			if d <= 0 || d > ceiling {
				t.Fatalf("after failure %d: got a wait of %v, want at most %v", n, d, ceiling)
			}
			longest = max(longest, d)
		}
		if longest < ceiling/2 {
			t.Errorf("after failure %d: got waits of %v at most, want some near %v", n, longest, ceiling)
		}
	}
}
