package cache_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestResolveLifetime(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	tests := []struct {
		name     string
		opts     cache.EntryOptions
		defaults cache.EntryOptions
		want     cache.Lifetime
		initial  time.Duration
	}{
		{"nothing said", cache.EntryOptions{}, cache.EntryOptions{}, cache.Lifetime{TTL: cache.DefaultTTL}, cache.DefaultTTL},
		{"TTL", cache.EntryOptions{TTL: s}, cache.EntryOptions{}, cache.Lifetime{TTL: s}, s},
		{"absolute", cache.EntryOptions{AbsoluteExpiration: epoch.Add(s)}, cache.EntryOptions{}, cache.Lifetime{TTL: s}, s},
		{"the earlier wins: TTL", cache.EntryOptions{TTL: s, AbsoluteExpiration: epoch.Add(2 * s)}, cache.EntryOptions{}, cache.Lifetime{TTL: s}, s},
		{"the earlier wins: absolute", cache.EntryOptions{TTL: 2 * s, AbsoluteExpiration: epoch.Add(s)}, cache.EntryOptions{}, cache.Lifetime{TTL: s}, s},
		{"sliding alone has no end", cache.EntryOptions{SlidingExpiration: s}, cache.EntryOptions{}, cache.Lifetime{Sliding: s}, s},
		{"sliding within a TTL", cache.EntryOptions{SlidingExpiration: s, TTL: 3 * s}, cache.EntryOptions{}, cache.Lifetime{TTL: 3 * s, Sliding: s}, s},
		{"sliding beyond a TTL", cache.EntryOptions{SlidingExpiration: 3 * s, TTL: s}, cache.EntryOptions{}, cache.Lifetime{TTL: s, Sliding: 3 * s}, s},
		{"no expiry", cache.EntryOptions{TTL: cache.NoExpiry}, cache.EntryOptions{TTL: s}, cache.Lifetime{}, 0},
		{"no expiry but sliding", cache.EntryOptions{TTL: cache.NoExpiry, SlidingExpiration: s}, cache.EntryOptions{}, cache.Lifetime{Sliding: s}, s},
		{"defaults", cache.EntryOptions{}, cache.EntryOptions{SlidingExpiration: s}, cache.Lifetime{Sliding: s}, s},
		{"defaults count as a whole", cache.EntryOptions{TTL: 2 * s}, cache.EntryOptions{SlidingExpiration: s}, cache.Lifetime{TTL: 2 * s}, 2 * s},
		{"1 ns rounds up", cache.EntryOptions{TTL: 1}, cache.EntryOptions{}, cache.Lifetime{TTL: ms}, ms},
		{"999 us round up", cache.EntryOptions{SlidingExpiration: 999 * time.Microsecond}, cache.EntryOptions{}, cache.Lifetime{Sliding: ms}, ms},
		{"1.5 ms round up", cache.EntryOptions{TTL: 1500 * time.Microsecond}, cache.EntryOptions{}, cache.Lifetime{TTL: 2 * ms}, 2 * ms},
		{"absolute rounds up", cache.EntryOptions{AbsoluteExpiration: epoch.Add(1)}, cache.EntryOptions{}, cache.Lifetime{TTL: ms}, ms},
		{"the longest duration", cache.EntryOptions{TTL: math.MaxInt64, SlidingExpiration: math.MaxInt64}, cache.EntryOptions{}, cache.Lifetime{TTL: cache.MaxTTL, Sliding: cache.MaxTTL}, cache.MaxTTL},
		{"year 9999", cache.EntryOptions{AbsoluteExpiration: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, cache.EntryOptions{}, cache.Lifetime{TTL: cache.MaxTTL}, cache.MaxTTL},
	}
	for _, tt := range tests {
		_, got, err := tt.opts.Resolve(tt.defaults, epoch)
		if err != nil || got != tt.want || got.Initial() != tt.initial {
			t.Errorf("%s: got %+v (initially %v), %v; want %+v (%v)", tt.name, got, got.Initial(), err, tt.want, tt.initial)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	tests := []struct {
		name   string
		opts   cache.EntryOptions
		option string
		want   error
	}{
		{"TTL of -1 ns", cache.EntryOptions{TTL: -1}, "EntryOptions.TTL", cache.ErrInvalidTTL},
		{"TTL of -5 s", cache.EntryOptions{TTL: -5 * time.Second}, "EntryOptions.TTL", cache.ErrInvalidTTL},
		{"almost NoExpiry", cache.EntryOptions{TTL: cache.NoExpiry + 1}, "EntryOptions.TTL", cache.ErrInvalidTTL},
		{"sliding of -1 ns", cache.EntryOptions{SlidingExpiration: -1}, "EntryOptions.SlidingExpiration", cache.ErrInvalidTTL},
		{"sliding NoExpiry", cache.EntryOptions{SlidingExpiration: cache.NoExpiry}, "EntryOptions.SlidingExpiration", cache.ErrInvalidTTL},
		{"absolute now", cache.EntryOptions{AbsoluteExpiration: epoch}, "EntryOptions.AbsoluteExpiration", cache.ErrInvalidTTL},
		{"absolute past, with a good TTL", cache.EntryOptions{AbsoluteExpiration: epoch.Add(-1), TTL: time.Hour}, "EntryOptions.AbsoluteExpiration", cache.ErrInvalidTTL},
		{"absolute past, in year 1", cache.EntryOptions{AbsoluteExpiration: time.Time{}.Add(1)}, "EntryOptions.AbsoluteExpiration", cache.ErrInvalidTTL},
		{"absolute and NoExpiry", cache.EntryOptions{AbsoluteExpiration: epoch.Add(1), TTL: cache.NoExpiry}, "EntryOptions.AbsoluteExpiration", cache.ErrInvalidTTL},
		{"negative size", cache.EntryOptions{Size: -1}, "EntryOptions.Size", cache.ErrInvalidConfig},
		{"unknown priority", cache.EntryOptions{Priority: 9}, "EntryOptions.Priority", cache.ErrInvalidConfig},
	}
	for _, tt := range tests {
		_, _, err := tt.opts.Resolve(cache.EntryOptions{}, epoch)
		var o *cache.OptionError
		if !errors.Is(err, tt.want) || !errors.As(err, &o) || o.Option != tt.option {
			t.Errorf("%s: got %v, want %v of %s", tt.name, err, tt.want, tt.option)
		}
	}
}

// No options, however odd, give an entry that lives for ever unless it was
// asked for, or one that is dead at once, or a fraction of a millisecond.
func TestResolveNeverMakesImmortals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opts := cache.EntryOptions{
			TTL:               time.Duration(rapid.Int64().Draw(t, "ttl")),
			SlidingExpiration: time.Duration(rapid.Int64().Draw(t, "sliding")),
		}
		if rapid.Bool().Draw(t, "with absolute") {
			opts.AbsoluteExpiration = epoch.Add(time.Duration(rapid.Int64().Draw(t, "absolute")))
		}
		_, life, err := opts.Resolve(cache.EntryOptions{}, epoch)
		if err != nil {
			return
		}
		if life.Initial() == 0 && opts.TTL != cache.NoExpiry {
			t.Errorf("%+v lives for ever", opts)
		}
		for _, d := range []time.Duration{life.TTL, life.Sliding} {
			if d < 0 || d > cache.MaxTTL || d%time.Millisecond != 0 {
				t.Errorf("%+v gives %v", opts, d)
			}
		}
	})
}
