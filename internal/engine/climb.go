package engine

import "math"

// climber moves the share of the window up and down, in the direction that
// brought more hits: in some hours recent entries deserve more room, in others
// frequent ones.
type climber struct {
	share   float64
	step    float64
	last    float64 // the hit ratio of the last sample
	hits    uint64  // when the sample began
	misses  uint64
	inserts int // since the counters were looked at
}

const (
	firstShare = 0.01
	firstStep  = 0.09
	leastShare = 0.005
	mostShare  = 0.8
	stepDecay  = 0.98
	restartAt  = 0.05 // such a change of the hit ratio makes it start anew
	sampleSpan = 10   // reads per entry
	checkEach  = 16   // inserts, or a part of the entries
	leastSpan  = 512  // entries that a sample is taken for, at least
)

// climb ends the sample if it is large enough. It is called for each insert.
func (p *policy[V]) climb() {
	c := &p.climber
	if c.inserts++; c.inserts < max(checkEach, p.resident()/checkEach) {
		return
	}
	c.inserts = 0
	hits, misses := p.reads()
	reads := hits - c.hits + misses - c.misses
	if reads < uint64(sampleSpan*max(leastSpan, p.resident())) {
		return
	}
	c.adjust(float64(hits-c.hits) / float64(reads))
	c.hits, c.misses = hits, misses
}

func (c *climber) adjust(ratio float64) {
	change := ratio - c.last
	c.last = ratio
	step := c.step
	if change < 0 {
		step = -step
	}
	c.share = min(max(c.share+step, leastShare), mostShare)
	if math.Abs(change) >= restartAt {
		c.step = math.Copysign(firstStep, step)
	} else {
		c.step = stepDecay * step
	}
}
