package memory

import (
	"errors"
	"fmt"
	"time"

	"github.com/larder-go/larder/cache"
)

// DefaultMaxBytes is the byte limit of a cache whose Options name no limit.
const DefaultMaxBytes = 64 << 20

// EntryOverhead is what an entry weighs besides its key and its value: the
// engine's bookkeeping and larder's own.
const EntryOverhead = 128

// Options says how a cache is bounded and what it reports. Nil Options and the
// zero Options are the defaults.
type Options struct {
	// MaxEntries is the most entries held. Zero: no limit on their number.
	MaxEntries int

	// MaxBytes is the most that all entries may weigh together. An entry weighs
	// its key, its value and EntryOverhead, or EntryOptions.Size if that is
	// given. Zero: no limit, if MaxEntries is given, and else DefaultMaxBytes.
	//
	// If both limits are given both hold.
	MaxBytes int64

	// MaxValueBytes is the longest byte value, or the largest weight of an
	// object; more is ErrValueTooLarge. Zero: only the byte limit holds.
	MaxValueBytes int

	// Defaults apply to the fields that an entry's options leave zero.
	Defaults cache.EntryOptions

	// Observer is told about hits, misses, evictions, expirations and loads.
	Observer cache.Observer

	// OnEvict is called once for each entry that leaves the cache, for whatever
	// cause, soon after it has left, in no particular order. It runs on the
	// goroutine of a call, or of a timer, several at once, and never
	// under a lock: it may use the cache (except for Close), and a slow one
	// slows down writers. A panic in it is reported to the Observer and goes no
	// further. What is in the cache when it is closed is dropped without a call.
	OnEvict func(Eviction)

	// Weigh returns the weight of an object that was stored without
	// EntryOptions.Size, key and overhead not included. It must be safe for
	// concurrent use. If it is nil, panics or returns less than 0, the weight
	// is estimated by a bounded walk over the object.
	Weigh func(key string, value any) int64

	// RankReads counts, by samples, which keys are read most, for EachUsage. It
	// costs a hit a random number, and every sixteenth or so a lock.
	RankReads bool
}

// Eviction is one entry that left the cache.
type Eviction struct {
	Key string
	// Value is the object as it was stored, a copy of the bytes, or an int64.
	Value any
	Cause Cause
}

// Cause is why an entry left the cache. An entry that was past its deadline is
// CauseExpired, and one of which a region expired CauseRemoved, whatever took it
// away in the end.
type Cause uint8

const (
	// CauseRemoved: Remove, RemoveMany, Clear or ExpireTokens.
	CauseRemoved Cause = iota + 1
	// CauseReplaced: a new value was stored under its key.
	CauseReplaced
	// CauseExpired: its deadline passed.
	CauseExpired
	// CauseCapacity: it made room for others.
	CauseCapacity
)

// String returns the cause as events name it.
func (c Cause) String() string {
	switch c {
	case CauseRemoved:
		return "removed"
	case CauseReplaced:
		return "replaced"
	case CauseExpired:
		return "expired"
	case CauseCapacity:
		return "capacity"
	}
	return "unknown"
}

func (o *Options) check() error {
	var errs []error
	refuse := func(option string, value any, reason string) {
		errs = append(errs, &cache.OptionError{
			Option: "memory.Options." + option, Value: value, Reason: reason, Err: cache.ErrInvalidConfig})
	}
	if o.MaxEntries < 0 {
		refuse("MaxEntries", o.MaxEntries, "must not be negative")
	}
	if o.MaxBytes < 0 {
		refuse("MaxBytes", o.MaxBytes, "must not be negative")
	}
	if o.MaxValueBytes < 0 {
		refuse("MaxValueBytes", o.MaxValueBytes, "must not be negative")
	}
	if o.MaxBytes > 0 && int64(o.MaxValueBytes) > o.MaxBytes {
		refuse("MaxValueBytes", o.MaxValueBytes, "must not be more than MaxBytes")
	}
	if o.Defaults.Lease != (cache.Lease{}) {
		refuse("Defaults.Lease", "a lease", "must be zero")
	}
	if len(o.Defaults.Tokens) > 0 || o.Defaults.Since != (cache.Moment{}) {
		refuse("Defaults.Tokens", len(o.Defaults.Tokens), "must be none: see cache.TypedOptions.Defaults")
	}
	if _, _, err := o.Defaults.Resolve(cache.EntryOptions{}, time.Now()); err != nil {
		errs = append(errs, fmt.Errorf("%w: memory.Options.Defaults: %w", cache.ErrInvalidConfig, err))
	}
	return errors.Join(errs...)
}
