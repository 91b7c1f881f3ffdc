package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// Errors of every larder cache, to be asked for with errors.Is. Their texts,
// and the texts of everything that wraps them, contain neither keys nor values.
var (
	// ErrNotFound means that the source has no such value. A loader returns it,
	// and so does reading a negative entry. A plain miss is never this error.
	ErrNotFound = errors.New("larder: not found in the source")

	// ErrNilContext, ErrInvalidKey, ErrKeyTooLong, ErrNilValue,
	// ErrValueTooLarge, ErrInvalidTTL, ErrNilLoader and ErrInvalidConfig refuse
	// input before anything is sent or changed.
	ErrNilContext    = errors.New("larder: nil context")
	ErrInvalidKey    = errors.New("larder: invalid key")
	ErrKeyTooLong    = errors.New("larder: key too long")
	ErrNilValue      = errors.New("larder: nil value")
	ErrValueTooLarge = errors.New("larder: value too large")
	ErrInvalidTTL    = errors.New("larder: invalid expiration")
	ErrNilLoader     = errors.New("larder: nil loader")
	ErrInvalidConfig = errors.New("larder: invalid configuration")

	// ErrWrongType means that the entry is of another kind than the call
	// expects: a counter, bytes, or an object. Nothing was changed.
	ErrWrongType = errors.New("larder: entry is of another kind")

	// ErrTypeMismatch means that one key is being loaded as two different Go
	// types at the same time.
	ErrTypeMismatch = errors.New("larder: key is in use with another type")

	// ErrOverflow means that a counter would leave the range of int64. It was
	// not changed.
	ErrOverflow = errors.New("larder: counter overflow")

	// ErrLeaseLost refuses a fill whose key was written, or whose lease ran
	// out, since the load began. Nothing was stored.
	ErrLeaseLost = errors.New("larder: lease lost")

	// ErrInvalidated is the cause (context.Cause) with which a load's context
	// ends when its key is written or removed.
	ErrInvalidated = errors.New("larder: invalidated during load")

	// ErrAbandoned is the cause with which a load's context ends when the last
	// caller that waited for it has left.
	ErrAbandoned = errors.New("larder: no caller waits for the load")

	// ErrLoadTimeout means that a load took longer than its LoadTimeout.
	ErrLoadTimeout = errors.New("larder: load timed out")

	// ErrRecursiveLoad means that a loader asked for the key it is loading.
	ErrRecursiveLoad = errors.New("larder: recursive load of one key")

	// ErrLoaderPanic matches every *LoaderPanicError.
	ErrLoaderPanic = errors.New("larder: loader panicked")

	// ErrLoaderGoexit means that a loader ended its goroutine instead of
	// returning, as t.FailNow does.
	ErrLoaderGoexit = errors.New("larder: loader called runtime.Goexit")

	// ErrUndecodable means that bytes could not be decoded into the wanted
	// type. The typed layer turns it into a miss.
	ErrUndecodable = errors.New("larder: undecodable value")

	// ErrClosed means that the cache was closed.
	ErrClosed = errors.New("larder: cache is closed")

	// ErrUnavailable means that the cache's server could not be asked, or that
	// its breaker is open. A write that returns it was not done.
	ErrUnavailable = errors.New("larder: cache unavailable")

	// ErrOutcomeUnknown means that a write was sent and its reply was lost: it
	// may have happened, or may still happen.
	ErrOutcomeUnknown = errors.New("larder: outcome unknown")
)

// OpError says which operation failed. Its text leaves the key out; errors.Is
// and errors.As see Err.
type OpError struct {
	Op  string // as in "get"
	Key string
	Err error
}

// Error names the operation and what went wrong, and leaves the key out.
func (e *OpError) Error() string {
	return "larder: " + e.Op + ": " + strings.TrimPrefix(e.Err.Error(), "larder: ")
}

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }

// OptionError names the option that was refused, its value and why. It wraps
// ErrInvalidTTL, ErrInvalidToken or ErrInvalidConfig.
type OptionError struct {
	Option string // as in "EntryOptions.SlidingExpiration"
	Value  any    // what was given: a time, duration or number, never a key
	Reason string // as in "must be positive"
	Err    error
}

// Error names the option, its value, and why it was refused.
func (e *OptionError) Error() string {
	return fmt.Sprintf("%v: %s = %v %s", e.Err, e.Option, e.Value, e.Reason)
}

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// BatchError says which items of a batch failed. errors.Is and errors.As look
// into each of them.
type BatchError struct {
	Errs []error // one per item, in their order; nil where it worked
}

// Error says how many items failed, and why the first of them did.
func (e *BatchError) Error() string {
	failed := e.Unwrap()
	if len(failed) == 0 {
		return "larder: batch"
	}
	return fmt.Sprintf("larder: %d of %d items failed, the first with: %s",
		len(failed), len(e.Errs), strings.TrimPrefix(failed[0].Error(), "larder: "))
}

// Unwrap returns the errors of the items that failed.
func (e *BatchError) Unwrap() []error {
	failed := make([]error, 0, len(e.Errs))
	for _, err := range e.Errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// LoaderPanicError carries a loader's panic to everyone who waited for it. It
// matches ErrLoaderPanic, and what it unwraps to if the panic was an error.
type LoaderPanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that ran the loader
}

// Error names the kind of panic only: a panic's value may hold personal data.
func (e *LoaderPanicError) Error() string {
	if err, ok := e.Value.(runtime.Error); ok {
		return "larder: loader panicked: " + err.Error()
	}
	return fmt.Sprintf("larder: loader panicked with a %T", e.Value)
}

// Is reports whether target is ErrLoaderPanic.
func (e *LoaderPanicError) Is(target error) bool { return target == ErrLoaderPanic }

// Unwrap returns the panic's value if it was an error, and else nil.
func (e *LoaderPanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// MaxKeyLength is the longest key in bytes. Package keys shortens longer ones.
const MaxKeyLength = 1024

// ReservedPrefix begins the keys that larder keeps for itself.
const ReservedPrefix = "__larder__"

// CheckKey returns ErrInvalidKey for an empty key or one that begins with
// ReservedPrefix, ErrKeyTooLong for one over MaxKeyLength. Any other bytes are
// a key, and distinct bytes are distinct keys.
func CheckKey(key string) error {
	switch {
	case len(key) == 0:
		return errEmptyKey
	case len(key) > MaxKeyLength:
		return ErrKeyTooLong
	case key[0] == ReservedPrefix[0] && strings.HasPrefix(key, ReservedPrefix):
		return errReservedKey
	}
	return nil
}

var (
	errEmptyKey    = fmt.Errorf("%w: it is empty", ErrInvalidKey)
	errReservedKey = fmt.Errorf("%w: it begins with the reserved prefix %s", ErrInvalidKey, ReservedPrefix)
)

// CheckContext returns ErrNilContext for nil, and else the context's own error.
func CheckContext(ctx context.Context) error {
	if ctx == nil {
		return ErrNilContext
	}
	return ctx.Err()
}
