package ticks

const (
	// shift is how many bits of perTick are behind the point.
	shift = 24

	// maxPassed is for how many ticks a scale holds, so that nothing overflows: ten
	// seconds of the fastest counter.
	maxPassed = 1 << 37

	// A counter ticks once in minTick to maxTick nanoseconds.
	minTick, maxTick = 0.1, 4.0

	// Two readings tell the rate if they are minApart nanoseconds from each other,
	// and each took maxWidth ticks at most.
	minApart = 50e6
	maxWidth = 10_000

	// steady is how far two rates in a row may differ: the kernel steers its clock
	// by up to 500 millionths. ahead is what a scale is fast by, so that the clock
	// does not overtake it.
	steady = 0.0008
	ahead  = 0.001
)

// scale turns ticks into time that is not too early.
type scale struct {
	from    uint64 // a count
	at      int64  // nanoseconds, then or later
	perTick uint64 // nanoseconds in 1<<shift ticks
}

// meter finds out how fast the counter is, by comparing it with a clock, and
// whether they keep time with each other.
type meter struct {
	known bool   // whether there is a last reading
	last  uint64 // count
	at    int64
	rate  float64 // nanoseconds per tick, of the last two readings; 0: unknown
	fit   bool    // whether it was that of the two before
}

// note hears that the clock was at some time between two counts. It returns the
// scale from there on, or nil while there is none to rely on.
func (m *meter) note(before uint64, at int64, after uint64) *scale {
	width := after - before
	if width > maxWidth { // the reader was interrupted, or is on another core now
		return m.scale(before, at)
	}
	if !m.known || before < m.last || at < m.at {
		*m = meter{known: true, last: before, at: at}
		return nil
	}
	if at-m.at < minApart {
		return m.scale(before, at)
	}
	rate := float64(at-m.at) / float64(before-m.last)
	m.fit = m.rate > 0 && rate > m.rate*(1-steady) && rate < m.rate*(1+steady) && rate > minTick && rate < maxTick
	m.last, m.at, m.rate = before, at, rate
	return m.scale(before, at)
}

// scale returns the scale from a reading on, if the rate is known. It may be
// taken from a reading that took long: the count is from before the time.
func (m *meter) scale(before uint64, at int64) *scale {
	if !m.fit {
		return nil
	}
	return &scale{from: before, at: at, perTick: uint64(m.rate*(1+ahead)*(1<<shift)) + 1}
}
