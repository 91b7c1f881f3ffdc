package near

import (
	"errors"
	"strconv"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
	"github.com/larder-go/larder/memory"
)

// Mode says how stale a hit in this process may be.
type Mode uint8

const (
	// Bounded: what other processes change shows within Options.Bound.
	Bounded Mode = iota
	// Validate: each hit is checked with the server first.
	Validate
	// Ack: who changes something waits until no near cache serves what was
	// before. All near caches that share entries must be in this mode.
	Ack
)

// String returns the mode as a URL names it.
func (m Mode) String() string {
	switch m {
	case Bounded:
		return "bounded"
	case Validate:
		return "validate"
	case Ack:
		return "ack"
	}
	return "Mode(" + strconv.Itoa(int(m)) + ")"
}

const (
	// DefaultBound is the bound if Options says nothing.
	DefaultBound = time.Second

	minBound = 20 * time.Millisecond
	maxBound = time.Hour
)

// Options configures New. The zero value of every field is a sensible default.
type Options struct {
	// Remote is the tier that processes share. Its Observer hears of hits here,
	// too.
	Remote distributed.Options

	// Local bounds what is held in this process; zero is memory.DefaultMaxBytes.
	// Local.Defaults are not used: how long a value is held is the entry's business.
	Local memory.Options

	// Mode is how stale a hit may be. Zero: Bounded.
	Mode Mode

	// Bound is the longest time for which something that another process has
	// changed may be served from here in mode Bounded, and how long contact with
	// the server may be silent in mode Ack. Zero: DefaultBound. From 20 ms to an
	// hour. A heartbeat is sent eight times in it, at least once a second.
	Bound time.Duration
}

// check returns what is wrong with o, all of it, except for what the tiers check.
func (o *Options) check() error {
	var errs []error
	refuse := func(option string, value any, reason string) {
		errs = append(errs, &cache.OptionError{Option: "near.Options." + option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig})
	}
	if o.Mode > Ack {
		refuse("Mode", o.Mode, "is unknown")
	}
	if o.Bound != 0 && (o.Bound < minBound || o.Bound > maxBound) {
		refuse("Bound", o.Bound, "must be between 20 ms and an hour")
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.Bound == 0 {
		o.Bound = DefaultBound
	}
	o.Local.Defaults = cache.EntryOptions{}
	return o
}
