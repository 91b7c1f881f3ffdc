package ticks

import (
	"math/rand/v2"
	"testing"
)

// machine is a counter and a clock, which pass as tests say.
type machine struct {
	ticks uint64
	nanos int64
	meter meter
}

// pass lets both go on; rate is in nanoseconds per tick.
func (m *machine) pass(ticks uint64, rate float64) {
	m.ticks += ticks
	m.nanos += int64(float64(ticks) * rate)
}

// note reads the clock between two counts that are width apart.
func (m *machine) note(width uint64, rate float64) *scale {
	before := m.ticks
	m.pass(width/2, rate)
	at := m.nanos
	m.pass(width-width/2, rate)
	return m.meter.note(before, at, m.ticks)
}

// settled is a machine whose counter is relied on.
func settled(t *testing.T, rate float64) *machine {
	t.Helper()
	m := &machine{ticks: 1 << 40, nanos: 5e9}
	for i := range 4 {
		if s := m.note(100, rate); (s != nil) != (i >= 2) {
			t.Fatalf("after %d readings there is a scale: %v", i+1, s != nil)
		}
		m.pass(uint64(100e6/rate), rate)
	}
	return m
}

// Whatever the kernel does to its clock within its limits, the time told is never
// before it, nor later by much.
func TestScaleNeverTellsLessThanHasPassed(t *testing.T) {
	for _, rate := range []float64{0.2, 0.4, 1, 2.5} {
		m := settled(t, rate)
		random := rand.New(rand.NewPCG(1, uint64(rate*100)))
		scales := 0
		for range 2000 {
			slewed := rate * (1 + (random.Float64()-0.5)*0.0006)
			s := m.note(random.Uint64N(maxWidth), slewed)
			for range 10 {
				m.pass(uint64(random.Float64()*100e6/rate), slewed)
				if s == nil {
					continue
				}
				scales++
				passed := m.ticks - s.from
				told := s.at + int64(passed*s.perTick>>shift)
				if late := told - m.nanos; late < 0 || float64(late) > 0.002*float64(passed)*rate+rate*maxWidth {
					t.Fatalf("%v ns per tick: told %d ns late after %d ticks", rate, late, passed)
				}
			}
		}
		if scales < 10_000 {
			t.Errorf("%v ns per tick: a scale %d times of 20,000", rate, scales)
		}
	}
}

func TestCounterThatIsNotSteadyIsNotUsed(t *testing.T) {
	const rate = 0.4
	for name, upset := range map[string]func(m *machine) (width uint64, rate float64){
		"the counter jumps":      func(m *machine) (uint64, float64) { m.ticks += 1e6; return 100, rate },
		"the counter stood":      func(m *machine) (uint64, float64) { m.nanos += 1e6; return 100, rate },
		"the counter was set":    func(m *machine) (uint64, float64) { m.ticks = 100; return 100, rate },
		"the clock was set back": func(m *machine) (uint64, float64) { m.nanos = 0; return 100, rate },
		"the rate changes":       func(m *machine) (uint64, float64) { m.pass(1e9, rate*1.01); return 100, rate },
	} {
		m := settled(t, rate)
		m.pass(250e6, rate)
		if m.note(upset(m)) != nil {
			t.Errorf("%s: the counter is relied on", name)
		}
	}
	for name, rate := range map[string]float64{"a bubble": 2000, "a stopped clock": 0, "an absurd counter": 0.01} {
		m := &machine{ticks: 1 << 40, nanos: 5e9}
		for range 10 {
			if m.note(100, rate) != nil {
				t.Errorf("%s: the counter is relied on", name)
			}
			m.pass(uint64(100e6/max(rate, 0.1)), rate)
		}
	}
}

// Readings that tell no rate move the scale all the same.
func TestReadingsThatTellNoRate(t *testing.T) {
	const rate = 0.4
	m := settled(t, rate)
	for _, width := range []uint64{100, 10 * maxWidth} {
		m.pass(1e6, rate)
		if s := m.note(width, rate); s == nil || s.from < m.ticks-width {
			t.Errorf("a reading of %d ticks, soon after another, leaves the scale %+v", width, s)
		}
	}
}
