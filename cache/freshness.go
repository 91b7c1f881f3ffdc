package cache

import (
	"cmp"
	"errors"
	"time"
)

// DefaultRetryAfter is how long a process waits after a failed refresh unless
// Freshness says otherwise.
const DefaultRetryAfter = time.Second

// Freshness says how an entry ages: when it is loaded anew although it is still
// there, and what callers get meanwhile. It is part of TypedOptions, for every
// entry, and of Entry, where a loader may say something else of its own; a zero
// field of an Entry is that of TypedOptions, a negative one is off. All zero:
// entries are fresh until they expire, and then gone.
//
// A value with all of it goes through three ages. It is fresh until SoftTTL.
// Then it is stale until its TTL (or absolute expiration): still served at once,
// while one load in the background refreshes it. Then it is expired, and kept
// for another StaleIfError: callers wait for a load, and get the old value only
// if the load fails or takes longer than SoftTimeout. Get and GetItem return
// values that are fresh or stale; to them an expired one is a miss.
//
// Only what has aged is ever served so. What was removed, replaced or marked by
// a writer, or depends on a region that expired, is gone at once, and a refresh
// that began before is not stored: it replaces only the very version of the
// entry that it found before it began to load. So it needs a cache with
// Versioner (and ObjectVersioner, if it has Objects), or one that only this Typed
// writes; with another, SoftTTL, StaleIfError and RefreshAhead are
// errors.ErrUnsupported.
//
// One load refreshes an entry at a time: in this process always, and across the
// processes that share a cache while its lease lives. A refresh belongs to the
// cache, not to the caller at whose call it began: it has that call's values and
// LoadTimeout, and ends with the cache. It keeps clear of entries that are
// locked, and of those that SetIfNewer stored and that have not expired. While
// the refreshed value is on its way to the entry the old one may end; then it is
// not stored.
//
// Ages are told by the monotonic clock for objects, and by the clocks of the
// hosts for encoded values: one that is wrong lets values become stale too
// early or too late, but they end when the cache's server says. A sliding
// expiration ends an entry at whatever age; ResetTTL, and Unlock with a ttl, move
// only that end, not the ages.
//
// What is stored by Set, Write and the like ages as TypedOptions say. A hit on
// an entry without any of it costs nothing more; one with it reads the clock. A
// refresh on Redis costs five round trips in the background (six where regions are
// tracked), and one in each other process that finds the value stale meanwhile.
type Freshness struct {
	// Jitter, from 0 to below 1, shortens each entry's lifetime at random by up
	// to this fraction (TTL, absolute expiration, SoftTTL and NegativeTTL; not a
	// sliding window), so that what was stored together does not expire
	// together. Never longer. It needs a TTL or an expiration that Entry or
	// TypedOptions.Defaults name: the backend's own defaults are not known here,
	// and without one it is ErrInvalidConfig.
	Jitter float64

	// SoftTTL is the age from which a value is refreshed in the background, at
	// the next GetOrCreateExclusive, while it is served (stale-while-revalidate).
	// One that is not below the TTL has no effect. The first read after nobody
	// has asked for a while gets a value that may be as old as the TTL: where that
	// matters, keep the TTL near SoftTTL.
	SoftTTL time.Duration

	// StaleIfError is how long past its TTL a value is kept for callers whose
	// load fails. ErrNotFound is an answer, not a failure. It needs what Jitter
	// needs, and has no effect on an entry that only a sliding window ends.
	StaleIfError time.Duration

	// RetryAfter is how long after a failed refresh this process does not try
	// the entry again; until then callers get the old value at once. Zero:
	// DefaultRetryAfter.
	RetryAfter time.Duration

	// RefreshAhead refreshes a value in the background before it is stale, or
	// expires if it has no SoftTTL, by chance: the longer its load took and the
	// less time is left, the likelier, so that entries which are often read are
	// mostly refreshed in time and never by many at once (XFetch: Vattani,
	// Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention,
	// VLDB 2015). 1 is the rule of the paper, more is earlier. It needs a TTL as
	// Jitter does, or a SoftTTL, and then has no effect where there is neither.
	RefreshAhead float64

	// SoftTimeout is how long a caller waits for a load if there is an expired
	// value that it can get instead. The load goes on in the background, until
	// LoadTimeout, and is stored. Zero: callers wait as long as the load takes.
	SoftTimeout time.Duration

	// ErrorTTL is how long callers of this process get the error of a failed
	// load without another load, if there is no value to fall back on. A write
	// to the key in this process ends that, and so does a value that anybody
	// stores. Not for loads of GetOrCreateMany, nor for ErrNotFound (see
	// NegativeTTL).
	ErrorTTL time.Duration
}

// ErrNotModified is what a loader returns to keep the value that is there,
// for a new lifetime: see Previous and Entry.PreviousETag. Without a value from
// before it is an error like any other.
var ErrNotModified = errors.New("larder: not modified")

// Previous returns the value that a loader is about to replace; ok is false if
// it does not refresh an entry, or not as a V. The value may be shared with
// readers, and must not be changed.
func Previous[V any](e *Entry) (value V, ok bool) {
	if e.previous == nil {
		return value, false
	}
	p, ok := e.previous.(*V)
	if !ok {
		return value, false
	}
	return *p, true
}

// Stale reports whether the loader refreshes an entry that is there: then it may
// look at Previous and PreviousETag, and return ErrNotModified.
func (e *Entry) Stale() bool { return e.previous != nil }

// PreviousETag returns the ETag that was stored with the value which the loader
// refreshes; empty if there is none.
func (e *Entry) PreviousETag() string { return e.previousETag }

// settled returns what a loader brought: the value from before, if that is what it
// said.
func settled[V any](e *Entry, value V, err error) (V, error) {
	if !errors.Is(err, ErrNotModified) {
		return value, err
	}
	before, ok := Previous[V](e)
	if !ok {
		return value, err
	}
	e.ETag = cmp.Or(e.ETag, e.previousETag)
	return before, nil
}

// inherit returns f with its zero fields taken from defaults, and nothing
// negative.
func (f Freshness) inherit(defaults Freshness) Freshness {
	f = f.or(defaults)
	return Freshness{
		max(f.Jitter, 0), max(f.SoftTTL, 0), max(f.StaleIfError, 0), max(f.RetryAfter, 0),
		max(f.RefreshAhead, 0), max(f.SoftTimeout, 0), max(f.ErrorTTL, 0),
	}
}

// or returns f with its zero fields taken from other.
func (f Freshness) or(other Freshness) Freshness {
	return Freshness{
		cmp.Or(f.Jitter, other.Jitter), cmp.Or(f.SoftTTL, other.SoftTTL), cmp.Or(f.StaleIfError, other.StaleIfError),
		cmp.Or(f.RetryAfter, other.RetryAfter), cmp.Or(f.RefreshAhead, other.RefreshAhead),
		cmp.Or(f.SoftTimeout, other.SoftTimeout), cmp.Or(f.ErrorTTL, other.ErrorTTL),
	}
}

// ages reports whether an entry with f is more than fresh or gone.
func (f Freshness) ages() bool { return f.SoftTTL > 0 || f.StaleIfError > 0 || f.RefreshAhead > 0 }

// check refuses what no entry could do.
func (f Freshness) check(where string) error {
	var errs []error
	refuse := func(field string, value any, reason string) {
		errs = append(errs, &OptionError{Option: where + "." + field, Value: value, Reason: reason, Err: ErrInvalidConfig})
	}
	for _, n := range [...]struct {
		field string
		value float64
	}{{"Jitter", f.Jitter}, {"RefreshAhead", f.RefreshAhead}} {
		switch {
		case n.value != n.value:
			refuse(n.field, n.value, "must be a number")
		case n.value < 0:
			refuse(n.field, n.value, "must not be negative")
		}
	}
	if f.Jitter >= 1 {
		refuse("Jitter", f.Jitter, "must be below 1")
	}
	for _, d := range [...]struct {
		field string
		value time.Duration
	}{
		{"SoftTTL", f.SoftTTL}, {"StaleIfError", f.StaleIfError}, {"RetryAfter", f.RetryAfter},
		{"SoftTimeout", f.SoftTimeout}, {"ErrorTTL", f.ErrorTTL},
	} {
		if d.value < 0 {
			refuse(d.field, d.value, "must not be negative")
		}
	}
	return errors.Join(errs...)
}
