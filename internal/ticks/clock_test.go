package ticks

import (
	"testing"
	"testing/synctest"
	"time"
)

// calibrated is a clock that has been compared with the kernel's as often as it takes.
func calibrated(tb testing.TB) *Clock {
	tb.Helper()
	c := New(time.Now())
	if !counts() {
		tb.Skip("the kernel does not keep its time by a counter")
	}
	for range 50 { // on a busy machine some readings tell nothing
		c.Calibrate()
		if c.scale.Load() != nil {
			return c
		}
		time.Sleep(minApart)
	}
	tb.Fatal("the counter is not relied on although the kernel does")
	return nil
}

func TestNowIsNotBeforeTheClock(t *testing.T) {
	c := calibrated(t)
	for range 200_000 {
		before := c.read()
		now := c.Now()
		after := c.read()
		if now < before || now > after+after/100 {
			t.Fatalf("Now = %d, read between %d and %d", now, before, after)
		}
	}
}

func TestNowWithoutACounterIsTheClock(t *testing.T) {
	c := New(time.Now())
	for range 1000 {
		if before, now, after := c.read(), c.Now(), c.read(); now < before || now > after {
			t.Fatalf("Now = %d, read between %d and %d", now, before, after)
		}
	}
}

// What a counter says that was set back, or another core's that is behind, is not
// believed.
func TestNowOfACounterThatWasSetBackIsTheClock(t *testing.T) {
	c := New(time.Now())
	c.scale.Store(&scale{from: counter() + 1<<30, at: 1 << 60, perTick: 1 << shift})
	if now := c.Now(); now > int64(time.Minute) {
		t.Errorf("Now = %v by a count of the past", time.Duration(now))
	}
}

func TestBubblesHaveTheirOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(time.Now())
		for i := range 200 {
			c.Calibrate()
			if c.scale.Load() != nil {
				t.Fatal("the counter is relied on in a bubble")
			}
			time.Sleep(100 * time.Millisecond)
			if now := time.Duration(c.Now()); now != time.Duration(i+1)*100*time.Millisecond {
				t.Fatalf("Now = %v after %d sleeps", now, i+1)
			}
		}
	})
}

func TestNowAllocatesNothing(t *testing.T) {
	c := New(time.Now())
	if n := testing.AllocsPerRun(100, func() { c.Now(); c.Calibrate() }); n > 1 {
		t.Errorf("%v allocations, want at most the scale", n)
	}
}

func BenchmarkNow(b *testing.B) {
	clock := calibrated(b)
	for b.Loop() {
		clock.Now()
	}
}

func BenchmarkSince(b *testing.B) {
	c := New(time.Now())
	for b.Loop() {
		c.Now()
	}
}
