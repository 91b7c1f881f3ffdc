package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Ordered stores values in the order that their source gives them, whatever the
// order in which their writes arrive: of two writers of one row, the one that is
// late does not put an older value over a newer one.
type Ordered interface {
	// SetIfNewer stores a copy of value, as Set does, unless the entry was stored
	// by SetIfNewer with the same order or a later one. The same is no error, and
	// nothing changes: what is to be stored is there, so a call may be repeated,
	// also after ErrOutcomeUnknown. A later one is *OutdatedError, and nothing
	// changes.
	//
	// Order is a number that only grows as the source changes, such as the
	// version or the change time of a row; 0 is none, and ErrInvalidVersion. What
	// is compared is what the entry knows: Set, CompareAndSet, Add, PutAndUnlock
	// and fills store values without an order, which any order is newer than; and
	// an entry that is removed, evicted or expired is forgotten with its order, so
	// an older value may then be stored. Unlock, ResetTTL and reads keep it.
	//
	// Storing ends loads in flight and drops a lock, as Set does. A key that is
	// marked by a writer is ErrBeingWritten (see WriteMarker). A counter or an
	// object is ErrWrongType. One atomic step, one round trip.
	SetIfNewer(ctx context.Context, key string, value []byte, order uint64, opts EntryOptions) error
}

// ErrOutdated matches every *OutdatedError.
var ErrOutdated = errors.New("larder: entry is newer")

// OutdatedError tells the order of an entry that is newer than the one that was
// to be stored. Nothing was changed.
type OutdatedError struct{ Current uint64 }

// Error names the order of the entry that is there.
func (e *OutdatedError) Error() string { return fmt.Sprintf("%v: %d", ErrOutdated, e.Current) }

// Is reports whether target is ErrOutdated.
func (e *OutdatedError) Is(target error) bool { return target == ErrOutdated }

// ObjectVersioner is Versioner and Ordered for a cache with Objects: values are
// objects, which readers share. A byte value or a counter is ErrWrongType, a nil
// object ErrNilValue. RemoveVersion is Versioner's.
type ObjectVersioner interface {
	// GetObjectItem is Versioner.GetItem for an object.
	GetObjectItem(ctx context.Context, key string) (item Versioned[any], found bool, err error)

	// CompareAndSetObject is Versioner.CompareAndSet for an object.
	CompareAndSetObject(ctx context.Context, key string, value any, have Version, opts EntryOptions) (Version, error)

	// AddObject is Versioner.Add for an object.
	AddObject(ctx context.Context, key string, value any, opts EntryOptions) (Version, error)

	// SetObjectIfNewer is Ordered.SetIfNewer for an object.
	SetObjectIfNewer(ctx context.Context, key string, value any, order uint64, opts EntryOptions) error
}

// ObjectLocker is Locker for a cache with Objects: values are objects, which
// readers share. A byte value or a counter is ErrWrongType, a nil object
// ErrNilValue. The calls that move no value are Locker's.
type ObjectLocker interface {
	// GetObjectAndLock is Locker.GetAndLock for an object.
	GetObjectAndLock(ctx context.Context, key string, ttl time.Duration, opts LockOptions) (item Versioned[any], handle LockHandle, err error)

	// PutObjectAndUnlock is Locker.PutAndUnlock for an object.
	PutObjectAndUnlock(ctx context.Context, key string, value any, handle LockHandle, opts EntryOptions) (Version, error)
}
