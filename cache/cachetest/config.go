package cachetest

import (
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

// Config says what to test and how time passes for it. Only New is required.
type Config struct {
	// New returns an empty cache that shares no entries with another. It is
	// called for every case, or every attempt at one, and frees what it took by
	// tb.Cleanup.
	New func(tb testing.TB) cache.Cache

	// RealTime is for caches whose time cannot be virtual, such as those on a
	// real server. If it is nil, each case runs in a testing/synctest bubble of
	// its own, with New called inside: time costs nothing, and deadlines are
	// checked to the millisecond.
	RealTime *RealTime

	// DefaultTTL is the lifetime of an entry stored without options. Zero:
	// cache.DefaultTTL.
	DefaultTTL time.Duration

	// MaxKeyBytes is the longest key. Zero: cache.MaxKeyLength. A decorator
	// that makes keys longer leaves less to its callers.
	MaxKeyBytes int

	// MaxValueBytes is the longest value. Zero: 1 MiB is stored, and whether
	// there is a limit is not tested.
	MaxValueBytes int

	// CoarseSliding is for caches that restart a sliding window by reading only
	// now and then (Refresh must be exact all the same): Check then refreshes
	// after every hit. Run leaves enough time between reads either way.
	CoarseSliding bool

	// Skip names cases not to run, with the reason.
	Skip map[string]string
}

// RealTime is how cases wait for the time of a real server. They use lifetimes
// of a few units, look at an entry Tolerance before its deadline, and expect it
// to be gone Tolerance after it. A case that waits and fails is run again with
// longer units, up to 32 times as long, in case the machine was too slow.
type RealTime struct {
	// Unit is the unit of lifetimes. Zero: 200 ms.
	Unit time.Duration
	// Tolerance is how far the server's time may be off. Zero: Unit / 4. It
	// must be less than half a unit.
	Tolerance time.Duration
	// Parallel runs cases at the same time. New must be able to take that.
	Parallel bool
}

// withDefaults returns a copy of c that is filled in, and fails tb for what
// makes no sense.
func (c Config) withDefaults(tb testing.TB) *Config {
	tb.Helper()
	if c.New == nil {
		tb.Fatal("cachetest: Config.New is nil")
	}
	if c.DefaultTTL == 0 {
		c.DefaultTTL = cache.DefaultTTL
	}
	if c.MaxKeyBytes == 0 {
		c.MaxKeyBytes = cache.MaxKeyLength
	}
	if c.RealTime != nil {
		rt := *c.RealTime
		if rt.Unit == 0 {
			rt.Unit = 200 * time.Millisecond
		}
		if rt.Tolerance == 0 {
			rt.Tolerance = rt.Unit / 4
		}
		if rt.Tolerance*2 >= rt.Unit {
			tb.Fatal("cachetest: RealTime.Tolerance is half a unit or more")
		}
		c.RealTime = &rt
	}
	return &c
}
