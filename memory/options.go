package memory

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/larder-go/larder/cache"
)

// DefaultMaxBytes is the byte limit of a cache whose Options name no limit.
const DefaultMaxBytes = 64 << 20

// EntryOverhead is what an entry weighs besides its key and its value: the
// engine's bookkeeping and larder's own.
const EntryOverhead = 256

// Options says how a cache is bounded and what it reports. Nil Options and the
// zero Options are the defaults.
type Options struct {
	// MaxEntries is the most entries held. Zero: no limit on their number.
	MaxEntries int

	// MaxBytes is the most that all entries may weigh together. An entry weighs
	// its key, its value and EntryOverhead, or EntryOptions.Size if that is
	// given. Zero: no limit, if MaxEntries is given, and else DefaultMaxBytes.
	//
	// If both limits are given both hold. Then each entry takes at least
	// MaxBytes/MaxEntries of the limit, so entries above that average displace
	// more than their weight in smaller ones.
	MaxBytes int64

	// MaxValueBytes is the longest byte value, or the largest weight of an
	// object; more is ErrValueTooLarge. Zero: only the byte limit holds.
	MaxValueBytes int

	// Defaults apply to the fields that an entry's options leave zero.
	Defaults cache.EntryOptions

	// Observer is told about hits, misses, evictions, expirations and loads.
	Observer cache.Observer

	// OnEvict is called once for each entry that leaves the cache, for whatever
	// cause, after it has left. It runs on the goroutine of a call that changed
	// the cache, or of the janitor, never under a lock: it may use the cache
	// (except for Close), and a slow one slows down writers. A panic in it is
	// reported to the Observer and goes no further. What is in the cache when
	// it is closed is dropped without a call.
	OnEvict func(Eviction)

	// Weigh returns the weight of an object that was stored without
	// EntryOptions.Size, key and overhead not included. It must be safe for
	// concurrent use. If it is nil, panics or returns less than 0, the weight
	// is estimated by a bounded walk over the object.
	Weigh func(key string, value any) int64
}

// Eviction is one entry that left the cache.
type Eviction struct {
	Key string
	// Value is the object as it was stored, a copy of the bytes, or an int64.
	Value any
	Cause Cause
}

// Cause is why an entry left the cache. An entry that was past its deadline is
// CauseExpired, whatever took it away in the end.
type Cause uint8

const (
	// CauseRemoved: Remove, RemoveMany or Clear.
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
	if _, _, err := o.Defaults.Resolve(cache.EntryOptions{}, time.Now()); err != nil {
		errs = append(errs, fmt.Errorf("%w: memory.Options.Defaults: %w", cache.ErrInvalidConfig, err))
	}
	return errors.Join(errs...)
}

// limits turns the two limits into the one that the engine knows: a capacity,
// and what each entry is charged of it.
//
// With both limits each entry is charged at least MaxBytes/MaxEntries, rounded
// up: then MaxEntries of them reach the capacity whatever they weigh, and the
// charges are never less than the weights.
type limits struct {
	bytes    int64 // 0: none
	floor    int64 // least charge, before the shift
	shift    uint  // charges are multiples of 1<<shift, as the engine's are 32 bits
	capacity int64
}

func newLimits(maxEntries int, maxBytes int64) *limits {
	if maxEntries == 0 && maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	l := &limits{bytes: maxBytes, floor: 1}
	whole := maxBytes
	switch {
	case maxBytes == 0:
		whole = int64(maxEntries)
	case maxEntries > 0:
		l.floor = (maxBytes-1)/int64(maxEntries) + 1
	}
	l.shift = uint(max(0, bits.Len64(uint64(whole))-32))
	l.capacity = whole >> l.shift
	return l
}

// fits reports whether an entry of this weight can be held at all.
func (l *limits) fits(weight int64) bool { return l.bytes == 0 || weight <= l.bytes }

func (l *limits) charge(weight int64) int64 {
	if l.bytes == 0 {
		return 1
	}
	units := ((max(weight, l.floor) - 1) >> l.shift) + 1
	return min(units, l.capacity, math.MaxUint32)
}
