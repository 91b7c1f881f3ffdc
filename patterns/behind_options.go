package patterns

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/queue"
)

// Defaults of WriteBehindOptions.
const (
	DefaultFlushInterval = 100 * time.Millisecond
	DefaultBatchSize     = 100
	DefaultVisibility    = 30 * time.Second
	DefaultMaxAttempts   = 10
	DefaultBackoff       = 100 * time.Millisecond
	DefaultMaxBackoff    = time.Minute
)

// WriteBehindOptions configure a WriteBehind. The zero value, and nil, mean the
// defaults.
type WriteBehindOptions[K comparable, V any] struct {
	// IDs and Values turn ids and values into what the queue keeps. nil: Msgpack.
	// What a durable queue holds must stay decodable when V changes.
	IDs    cache.Codec[K]
	Values cache.Codec[V]

	// Interval is how long a write waits at most for others of its key to join
	// it, and for a batch to fill, before it is written; and how often the queue
	// is looked at for writes of other processes. A full batch is written at
	// once. Zero: DefaultFlushInterval.
	Interval time.Duration

	// BatchSize is the most writes that are handed to the source at once. Zero:
	// DefaultBatchSize.
	BatchSize int

	// Workers is how many batches are written at the same time, by this process.
	// Writes of one key are never in two of them. Zero: 1.
	Workers int

	// NoWorkers leaves the writing to other processes: this one reads and
	// enqueues only. It needs a durable queue, which they share.
	NoWorkers bool

	// Visibility is how long a batch belongs to the worker that claimed it; if
	// its process dies, another takes over after it. The context of a write to
	// the source ends a sixth of it earlier. Zero: DefaultVisibility.
	Visibility time.Duration

	// MaxAttempts is how often a write is tried before it becomes a dead letter.
	// Attempts that Classify calls Unavailable do not count; those during which
	// the process died do. Zero: DefaultMaxAttempts.
	MaxAttempts int

	// Backoff is the longest wait before the second attempt; it doubles with each
	// further one up to MaxBackoff. The wait is random between 0 and that (full
	// jitter). It paces a source that is unavailable, too, so one that is back may
	// go unnoticed for MaxBackoff. Zero: DefaultBackoff, DefaultMaxBackoff.
	Backoff, MaxBackoff time.Duration

	// Classify says what an error of the source means. nil: ClassifyError.
	Classify func(err error) Verdict

	// WhenFull says what a write does if the queue has no room. Zero: FullBlock.
	WhenFull FullPolicy

	// Merge, if not nil, makes a Save an increment: what the source is given is
	// added to what it has, and so must its Save do. Merge returns older and newer
	// as one; it must be associative and change neither. Increments that wait are
	// merged; those that the source may have stay as they were. See
	// WriteBehind.Find for what readers see, and when they need the source.
	Merge func(older, newer V) V

	// Park keeps writes of a key behind one that is dead, until that is retried or
	// dropped. By default a newer value takes the place of a dead one, which is
	// out of date. Increments are always parked.
	Park bool

	// AllowVolatile takes a queue into use whose Preflight fails with
	// queue.ErrVolatile: its server may lose what it acknowledged.
	AllowVolatile bool

	// OnDead is called after a write became a dead letter and the cache was
	// repaired: for alarms. It is called by a worker, which waits for it.
	OnDead func(ctx context.Context, letter DeadLetter[K, V])

	// OnError is called with errors of the queue and the source, as they happen,
	// by a worker, which waits for it. They are counted, too.
	OnError func(ctx context.Context, err error)

	// Observer is told of what OnDead and OnError are, and of writes that waited
	// for room or were refused for want of it, as events of the layer "behind":
	// EventDeadLetter, EventQueueError and EventQueueFull. How long the queue is,
	// and how old, is in WriteBehind.Stats.
	Observer cache.Observer
}

// FullPolicy says what a write does if the queue has no room.
type FullPolicy uint8

const (
	// FullBlock waits for room until the caller's context ends.
	FullBlock FullPolicy = iota
	// FullReject returns queue.ErrFull.
	FullReject
	// FullWriteThrough writes to the source at once, unless older writes of the
	// key are queued; then it waits for room. With a source that is an Applier it
	// needs a queue with queue.Sequencer.
	FullWriteThrough
)

// Verdict is what an error of the source means for a write.
type Verdict uint8

const (
	// Retry: try again, with a growing delay, up to MaxAttempts.
	Retry Verdict = iota
	// Permanent: never try again; the write becomes a dead letter.
	Permanent
	// Unavailable: it is not the write's fault; try again without counting the
	// attempt. While all that a worker tries ends so, it slows down.
	Unavailable
)

// ErrPermanent, wrapped in an error of the source, says that trying again cannot
// help.
var ErrPermanent = errors.New("larder: permanent failure of the source")

// ErrDuplicate, from an Applier, says that the source has this sequence of the
// key already, or a later one. The write counts as done.
var ErrDuplicate = errors.New("larder: the source has this write already")

// ClassifyError is the default of WriteBehindOptions.Classify: ErrPermanent and
// cache.ErrUnencodable are Permanent; cache.ErrUnavailable, ended contexts, bad
// connections and errors of the network are Unavailable; all others Retry.
func ClassifyError(err error) Verdict {
	var network net.Error
	switch {
	case errors.Is(err, ErrPermanent), errors.Is(err, cache.ErrUnencodable):
		return Permanent
	case errors.Is(err, cache.ErrUnavailable), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &network):
		return Unavailable
	}
	return Retry
}

// Change is one write for the source.
type Change[K comparable, V any] struct {
	ID      K
	Key     string // the entity's key
	Value   V      // the zero V if Deleted
	Deleted bool
	// Fresh, with WriteBehindOptions.Merge, says that the entity was deleted
	// before this increment: it is the whole value.
	Fresh bool
	// Sequence rises with each write of the key. A source that stores it beside
	// the entity, and refuses what is not above it, has the effect of each write
	// once and in order, whatever is delivered again or late. A deletion must
	// leave it behind then.
	Sequence uint64
	Attempt  int // from 1; 0 for a write that went past the full queue
}

// Applier is the capability of a repository under a WriteBehind that takes
// writes with their sequences. It is used instead of Save, SaveMany and Delete, also
// through Hooked.
type Applier[K comparable, V any] interface {
	// Apply writes the changes, which are of distinct keys, and returns one error
	// for each, in their order; nil if there are none. What was applied already
	// should be ErrDuplicate, which counts as success.
	Apply(ctx context.Context, changes []Change[K, V]) []error
}

// RemainingError is returned by Close if it could not write everything in time:
// what is still queued. What a durable queue has is written by who opens it
// next. A memory queue is lost with the process, unless its items are claimed
// and kept elsewhere; its dead letters remain, too.
type RemainingError struct {
	Queued int   // items not in the source
	Dead   int   // dead letters
	Err    error // why; nil if only dead letters remain
}

// Error counts what is left and says why, if more than dead letters are.
func (e *RemainingError) Error() string {
	text := fmt.Sprintf("larder: write-behind closed with %d writes queued and %d dead letters", e.Queued, e.Dead)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *RemainingError) Unwrap() error { return e.Err }

func (o WriteBehindOptions[K, V]) withDefaults() (WriteBehindOptions[K, V], error) {
	var errs []error
	for _, d := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"Interval", &o.Interval, DefaultFlushInterval}, {"Visibility", &o.Visibility, DefaultVisibility},
		{"Backoff", &o.Backoff, DefaultBackoff}, {"MaxBackoff", &o.MaxBackoff, DefaultMaxBackoff},
	} {
		errs = append(errs, orDefault(d.name, d.value, d.zero))
	}
	for _, n := range []struct {
		name  string
		value *int
		zero  int
	}{{"BatchSize", &o.BatchSize, DefaultBatchSize}, {"Workers", &o.Workers, 1}, {"MaxAttempts", &o.MaxAttempts, DefaultMaxAttempts}} {
		errs = append(errs, orDefault(n.name, n.value, n.zero))
	}
	if o.WhenFull > FullWriteThrough {
		errs = append(errs, behindOption("WhenFull", uint8(o.WhenFull), "is unknown"))
	}
	if o.IDs == nil {
		o.IDs = cache.Msgpack[K]()
	}
	if o.Values == nil {
		o.Values = cache.Msgpack[V]()
	}
	if o.Classify == nil {
		o.Classify = ClassifyError
	}
	return o, errors.Join(errs...)
}

// orDefault replaces 0 and refuses less.
func orDefault[T int | time.Duration](name string, value *T, zero T) error {
	if *value < 0 {
		return behindOption(name, *value, "must not be negative")
	}
	if *value == 0 {
		*value = zero
	}
	return nil
}

func behindOption(name string, value any, reason string) error {
	return &cache.OptionError{Option: "WriteBehindOptions." + name, Value: value, Reason: reason, Err: cache.ErrInvalidConfig}
}

// mode returns how writes are enqueued.
func (o *WriteBehindOptions[K, V]) mode() queue.Mode {
	switch {
	case o.Merge != nil:
		return queue.Merge
	case o.Park:
		return queue.Park
	}
	return queue.Replace
}

// backoff returns the wait after the n-th failure, n from 1.
func (o *WriteBehindOptions[K, V]) backoff(n int) time.Duration {
	ceiling := o.MaxBackoff
	if n = max(n, 1); n < 32 && o.Backoff <= o.MaxBackoff>>(n-1) {
		ceiling = o.Backoff << (n - 1)
	}
	return rand.N(ceiling) + 1
}
