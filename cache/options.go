package cache

import (
	"math"
	"time"
)

// NoExpiry, as a TTL, is the only way to make an entry that does not expire by
// age.
const NoExpiry time.Duration = math.MinInt64

// DefaultTTL is the TTL of an entry when neither its options nor the backend's
// defaults say anything about expiration.
const DefaultTTL = time.Hour

// MaxTTL is the longest lifetime; a longer TTL, window or absolute expiration is cut to it.
const MaxTTL = 10 * 365 * 24 * time.Hour

// EntryOptions says how long an entry lives and how it is kept. It is passed by
// value; a zero field inherits from the backend's defaults. The defaults for
// expiration apply as a whole, and only if all three of AbsoluteExpiration, TTL
// and SlidingExpiration are zero.
//
// Durations have a precision of one millisecond and are rounded up to it. An
// entry is gone at its deadline, not after it. Negative durations and
// deadlines that are not in the future are refused with ErrInvalidTTL.
type EntryOptions struct {
	// AbsoluteExpiration is the time at which the entry expires. If TTL is
	// given too, the earlier wins.
	AbsoluteExpiration time.Time

	// TTL is the entry's lifetime from now, or NoExpiry.
	TTL time.Duration

	// SlidingExpiration is the time since the last read after which the entry
	// expires. It never extends an entry past its absolute expiration or TTL.
	SlidingExpiration time.Duration

	// Priority says whether the entry may be evicted to make room. Redis keeps
	// its own policy and ignores it.
	Priority Priority

	// Size is the entry's weight in bytes where a backend bounds those. Zero:
	// the backend measures it. Negative: ErrInvalidConfig.
	Size int64

	// Lease, if not zero, makes a Set a fill: it stores only while this lease
	// stands, and else returns ErrLeaseLost. See Leaser. Only loaders' plumbing
	// needs it.
	Lease Lease

	// Mark, if not zero, makes a Set the end of the write that this mark began:
	// see WriteMarker. It stores only if the mark stands as BeginWrite left it;
	// otherwise it ends the write and returns ErrWriteOverlapped. With any other
	// error the write may not have ended: call EndWrite. Not with Lease.
	Mark WriteMark

	// Tokens are the regions that the entry depends on: see Regions. The slice
	// is not kept. At most MaxTokens with those inherited; a counter with tokens
	// is refused with ErrInvalidConfig.
	Tokens []Token

	// Since, if not zero, makes a Set store only if none of Tokens expired after
	// it, and else return ErrRegionExpired. Zero: the entry counts from now.
	Since Moment
}

// Priority says how willingly an entry is evicted.
type Priority uint8

const (
	// PriorityDefault inherits; it ends as PriorityNormal.
	PriorityDefault Priority = iota
	// PriorityNormal entries are evicted as the backend's policy sees fit.
	PriorityNormal
	// PriorityPinned entries are never evicted to make room. They still expire.
	PriorityPinned
)

// Lifetime is how long an entry lives from the moment it is stored, as resolved
// from EntryOptions. Both are whole milliseconds.
type Lifetime struct {
	TTL     time.Duration // until the absolute deadline; 0: none
	Sliding time.Duration // the sliding window; 0: none
}

// Initial returns the time until the entry expires if nobody reads it; 0: it
// does not.
func (l Lifetime) Initial() time.Duration {
	if l.Sliding > 0 && (l.TTL == 0 || l.Sliding < l.TTL) {
		return l.Sliding
	}
	return l.TTL
}

// Resolve checks o and the backend's defaults and returns the entry's lifetime
// as of now, and o with everything inherited filled in. It is for backends.
func (o EntryOptions) Resolve(defaults EntryOptions, now time.Time) (EntryOptions, Lifetime, error) {
	o.inherit(&defaults)
	if o.expirationUnset() {
		o.TTL = DefaultTTL
	}
	if o.Priority == PriorityDefault {
		o.Priority = PriorityNormal
	}
	life, err := o.lifetime(now)
	if err == nil {
		err = o.checkKeeping()
	}
	return o, life, err
}

// Inherit returns o with its zero fields taken from defaults; the expiration
// fields as a whole, and the tokens of both.
func (o EntryOptions) Inherit(defaults EntryOptions) EntryOptions {
	o.inherit(&defaults)
	return o
}

// inherit is Inherit in place: options are large, and each write resolves some.
func (o *EntryOptions) inherit(defaults *EntryOptions) {
	if o.expirationUnset() {
		o.AbsoluteExpiration = defaults.AbsoluteExpiration
		o.TTL = defaults.TTL
		o.SlidingExpiration = defaults.SlidingExpiration
	}
	if o.Priority == PriorityDefault {
		o.Priority = defaults.Priority
	}
	if o.Size == 0 {
		o.Size = defaults.Size
	}
	o.Tokens = joinTokens(o.Tokens, defaults.Tokens)
}

func (o *EntryOptions) expirationUnset() bool {
	return o.TTL == 0 && o.SlidingExpiration == 0 && o.AbsoluteExpiration.IsZero()
}

func (o *EntryOptions) lifetime(now time.Time) (Lifetime, error) {
	var life Lifetime
	switch {
	case o.TTL == NoExpiry:
		if !o.AbsoluteExpiration.IsZero() {
			return life, invalidTTL("AbsoluteExpiration", o.AbsoluteExpiration, "contradicts TTL = NoExpiry")
		}
	case o.TTL < 0:
		return life, invalidTTL("TTL", o.TTL, "must be positive")
	case o.TTL > 0:
		life.TTL = wholeMillis(o.TTL)
	}
	if o.SlidingExpiration < 0 {
		return life, invalidTTL("SlidingExpiration", o.SlidingExpiration, "must be positive")
	}
	life.Sliding = wholeMillis(o.SlidingExpiration)
	if !o.AbsoluteExpiration.IsZero() {
		left := o.AbsoluteExpiration.Sub(now)
		if left <= 0 {
			return life, invalidTTL("AbsoluteExpiration", o.AbsoluteExpiration, "must be in the future")
		}
		if left = wholeMillis(left); life.TTL == 0 || left < life.TTL {
			life.TTL = left
		}
	}
	return life, nil
}

func (o *EntryOptions) checkKeeping() error {
	if o.Size < 0 {
		return &OptionError{Option: "EntryOptions.Size", Value: o.Size, Reason: "must not be negative", Err: ErrInvalidConfig}
	}
	if o.Mark != (WriteMark{}) && o.Mark.Writer == [16]byte{} {
		return ErrInvalidMark
	}
	if o.Mark != (WriteMark{}) && o.Lease != (Lease{}) {
		return errMarkAndLease
	}
	if o.Priority > PriorityPinned {
		return &OptionError{Option: "EntryOptions.Priority", Value: uint8(o.Priority), Reason: "is unknown", Err: ErrInvalidConfig}
	}
	if len(o.Tokens) > MaxTokens {
		return &OptionError{Option: "EntryOptions.Tokens", Value: len(o.Tokens), Reason: "are too many", Err: ErrInvalidToken}
	}
	return CheckTokens(o.Tokens)
}

var errMarkAndLease = &OptionError{Option: "EntryOptions.Mark", Value: "a mark", Reason: "does not go with Lease", Err: ErrInvalidConfig}

func invalidTTL(field string, value any, reason string) error {
	return &OptionError{Option: "EntryOptions." + field, Value: value, Reason: reason, Err: ErrInvalidTTL}
}

// wholeMillis cuts d to MaxTTL and rounds it up to a millisecond.
func wholeMillis(d time.Duration) time.Duration {
	if d >= MaxTTL {
		return MaxTTL
	}
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
