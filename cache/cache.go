// Package cache is larder's contract: what a cache is, what it may do beyond
// that, and the typed layer with GetOrCreateExclusive that services use.
//
// A backend implements [Cache] (four methods) and as many of the optional
// capabilities as it can: [Batcher], [Counter], [Versioner], [Locker], [Ordered],
// [Objects], [ObjectVersioner], [ObjectLocker], [Leaser], [WriteMarker], [Regions],
// [Peeker], [Waker], [Explainer], [Appender], [Clearer], [Coordinated], [Near],
// [StatsReporter]. Callers find a capability with [As], which looks through
// observing decorators.
//
// # Decorators
//
// A decorator that only watches (metrics, logs) may offer Unwrap() Cache, so
// that capabilities of the cache below stay visible. A decorator that changes
// keys or values (prefix, compression, encryption) must not offer Unwrap: it
// implements each capability itself or does without. A decorator that routes
// between caches owns its semantics and documents them.
//
// This package imports no backend: see packages memory and distributed, and
// the root package for opening one from a URL.
package cache

import (
	"context"
	"reflect"
	"time"
)

// Cache is the least a backend offers: byte values under text keys, with
// expiration.
//
// Every method is safe for concurrent use, checks its input before anything is
// sent or changed (see [CheckKey], [CheckContext], [EntryOptions]), and returns
// the context's own error if the context has already ended. A method that
// changes something has three outcomes: done (nil), not done (an error), or
// [ErrOutcomeUnknown] when it may have happened.
type Cache interface {
	// Get returns the value under key. A miss is found == false with a nil
	// error; an error means that the cache could not tell. The slice belongs to
	// the caller; an entry of length zero is a non-nil empty slice. Reading an
	// entry with a sliding expiration restarts its window.
	Get(ctx context.Context, key string) (value []byte, found bool, err error)

	// Set stores a copy of value under key and replaces what was there,
	// including its expiration. A nil value is refused with ErrNilValue, an
	// empty one is a value. It ends any load in flight for key: the result of
	// such a load is never stored.
	Set(ctx context.Context, key string, value []byte, opts EntryOptions) error

	// Refresh restarts the sliding window of the entry without moving its
	// value. It does nothing for an entry without one, or for a missing key.
	Refresh(ctx context.Context, key string) error

	// Remove deletes the entry; a missing key is no error. It ends any load in
	// flight for key: a caller that starts after Remove returned never gets a
	// value loaded before, and that value is never stored.
	Remove(ctx context.Context, key string) error
}

// Backend is a cache with a life of its own, as memory.New, distributed.New and
// larder.Open return it.
type Backend interface {
	Cache
	StatsReporter

	// Close ends everything the backend started and waits for it until ctx
	// ends. It is idempotent; afterwards every call returns ErrClosed. What the
	// caller handed in (a Redis client) stays open.
	Close(ctx context.Context) error
}

// Batcher moves many entries at once: one round trip per server node.
type Batcher interface {
	// GetMany returns one Result per key, in the order of keys, duplicates
	// included. No keys: no round trip. The error is for the call as a whole
	// (context, closed); what befell one key is in its Result.
	GetMany(ctx context.Context, keys []string) ([]Result, error)

	// SetMany stores the items. If some could not be stored it returns a
	// *BatchError that says which; the others are stored all the same. There is
	// no atomicity across items. Of two items with one key the later wins.
	SetMany(ctx context.Context, items []Item) error

	// RemoveMany removes the keys, with errors as SetMany.
	RemoveMany(ctx context.Context, keys []string) error
}

// Result is the answer for one key of GetMany.
type Result struct {
	Value []byte
	Found bool
	Err   error
}

// Item is one entry of SetMany.
type Item struct {
	Key     string
	Value   []byte
	Options EntryOptions
}

// Counter holds integers that many callers change at once. A counter and a
// value are different kinds of entry: reading one as the other is ErrWrongType
// and changes nothing; Set replaces either.
type Counter interface {
	// Increment adds delta (which may be negative or 0) to the counter under
	// key and returns the new value. An absent counter starts at 0, and gets
	// its expiration from opts in the same atomic step; an existing one keeps
	// its own. An absolute expiration or a TTL only: a sliding one is refused.
	// If the result does not fit an int64 it returns ErrOverflow, and if the
	// entry is a value ErrWrongType; either way nothing changes. It is never
	// retried blindly: a lost reply is ErrOutcomeUnknown.
	Increment(ctx context.Context, key string, delta int64, opts EntryOptions) (int64, error)

	// Count returns the counter under key.
	Count(ctx context.Context, key string) (n int64, found bool, err error)
}

// Objects holds Go values as they are, so that a hit costs neither decoding nor
// an allocation. Who reads a value shares it with every other reader and must
// not change it. An object and a byte value are different kinds of entry:
// reading one as the other is ErrWrongType.
type Objects interface {
	// GetObject is Get for an object. It does not keep key after it returned,
	// so the caller may reuse the memory that key points to.
	GetObject(ctx context.Context, key string) (value any, found bool, err error)

	// SetObject is Set for an object. A nil value is ErrNilValue. The object's
	// weight is opts.Size, or else estimated.
	SetObject(ctx context.Context, key string, value any, opts EntryOptions) error
}

// Leaser hands out the right to fill a key after a miss. A write to the key
// (Set, Remove, Clear, a counter's Increment, BeginWrite) voids that right, so a load that
// began before the write cannot store what it read before it.
//
// A lease is spent by a Set, SetObject or SetMany whose EntryOptions.Lease
// names it: such a call stores only if the lease still stands and otherwise
// changes nothing and returns ErrLeaseLost.
type Leaser interface {
	// Lease asks for the right to fill key for at most ttl. One round trip.
	Lease(ctx context.Context, key string, ttl time.Duration) (LeaseReply, error)

	// LeaseMany is Lease for distinct keys, in their order, in one round trip
	// per node.
	LeaseMany(ctx context.Context, keys []string, ttl time.Duration) ([]LeaseReply, error)

	// Extend lets a lease that stands last for another ttl from now. It reports
	// whether it stands.
	Extend(ctx context.Context, key string, lease Lease, ttl time.Duration) (stands bool, err error)

	// Release gives an unused lease back. A lease that no longer stands is no
	// error, and another load's lease stays untouched.
	Release(ctx context.Context, key string, lease Lease) error
}

// Peeker is the capability of a cache that several processes write. A caller
// that finds a load in flight asks it whether that load is still in charge of
// the key: if not, another process has written the key since the load began,
// and the caller must not share its result.
type Peeker interface {
	// Peek is Get, and on a miss tells who is in charge of the key: nobody
	// (LeaseFree), a load (LeaseBusy, with its lease), writers of the source
	// (LeaseMarked, with the mark's epoch), or data that cannot be replaced by a
	// fill (LeaseRefused). One round trip, which concurrent calls
	// share. It counts neither as a hit nor as a miss.
	Peek(ctx context.Context, key string) (value []byte, reply LeaseReply, err error)
}

// Lease is the unguessable token of one load's right to fill one key. The zero
// Lease is none.
type Lease [16]byte

// LeaseReply says what a Lease call found.
type LeaseReply struct {
	State LeaseState
	Lease Lease // of the load in charge: the caller's own if granted
	Err   error // LeaseMany only: what befell this key

	// Moment is the point in the history of the cache's regions before the load
	// begins; zero if the cache does not track regions.
	Moment Moment
}

// LeaseState is the state of a key as a Lease call found it.
type LeaseState uint8

const (
	// LeaseRefused: the key cannot be filled now, and no load is known to be
	// in charge of it. Load, but do not fill.
	LeaseRefused LeaseState = iota
	// LeaseGranted: the key was absent and is the caller's to fill.
	LeaseGranted
	// LeaseBusy: another load is in charge of the key.
	LeaseBusy
	// LeaseFound: there is a value by now. Get it.
	LeaseFound
	// LeaseFree: the key is absent. Only Peek says so; Lease takes it.
	LeaseFree
	// LeaseMarked: the key's source is being written. Load, but do not fill.
	// Lease is the epoch of the mark: a load that began under it may be shared
	// by a caller who sees the same one.
	LeaseMarked
)

// Appender reads into memory that the caller brings.
type Appender interface {
	// AppendTo is Get, with the value appended to dst. On a miss or an error it
	// returns dst as it was.
	AppendTo(ctx context.Context, dst []byte, key string) (value []byte, found bool, err error)
}

// Clearer empties a cache.
type Clearer interface {
	// Clear removes every entry and ends every load in flight, as Remove does
	// for one key.
	Clear(ctx context.Context) error
}

// Coordinated is the capability of a cache that tells a Coordinator about each
// write, so that GetOrCreateExclusive can share loads between callers and void
// them when their key is written. It goes with Leaser: a fill must be told from
// a write, and without leases Coordinated is not used.
type Coordinated interface {
	// Coordinate returns the coordinator in charge of key and the name it
	// knows key by. A decorator that changes keys, or routes, maps both.
	Coordinate(key string) (c *Coordinator, name string)
}

// StatsReporter tells what a cache did so far.
type StatsReporter interface {
	Stats() Stats
}

// As finds the capability T in c or, if c is an observing decorator, in what it
// wraps. A nil pointer has none. It is meant to be called once, when a cache is taken
// into use.
func As[T any](c Cache) (T, bool) {
	for !isNil(c) {
		if t, ok := c.(T); ok {
			return t, true
		}
		u, ok := c.(interface{ Unwrap() Cache })
		if !ok {
			break
		}
		c = u.Unwrap()
	}
	var zero T
	return zero, false
}

// isNil reports whether c is nil, or a nil pointer of a backend's type.
func isNil(c Cache) bool {
	if c == nil {
		return true
	}
	v := reflect.ValueOf(c)
	return v.Kind() == reflect.Pointer && v.IsNil()
}
