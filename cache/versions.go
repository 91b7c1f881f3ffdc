package cache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Version identifies one state of one entry. Every write makes another, none is
// ever used again, not even after the entry was removed and made anew, and two
// versions say nothing of which came first. The zero Version is none.
type Version [16]byte

// Versioned is a value with what is known about its entry.
type Versioned[V any] struct {
	Value   V
	Version Version
	TTL     time.Duration // what is left of its life; NoExpiry if it has no end
	Locked  bool          // whether a lock stands on it
	Order   uint64        // the place in its source's order that SetIfNewer gave it; 0: none
	Fence   uint64        // the fencing token of a lock just taken, see Locker; 0 from any other call
	Tokens  []Token       // the regions that it depends on, but for those they belong to; belongs to the caller
}

// VersionedItem is an entry with what is known about it. The value belongs to
// the caller.
type VersionedItem = Versioned[[]byte]

// Versioner changes entries only if nobody else has changed them meanwhile:
// optimistic concurrency. Values and versions are those of byte values; a counter
// is ErrWrongType, and so is an object (see ObjectVersioner for these), except
// that RemoveVersion removes either kind.
//
// Each change is one atomic step and one round trip. A change whose reply was
// lost is ErrOutcomeUnknown, and returns the version that the entry has if it was
// done: read the entry to find out. Typed.Update does.
type Versioner interface {
	// GetItem is Get with the entry's version. Its cost is that of Get, and one
	// more command in the same round trip for the TTL.
	GetItem(ctx context.Context, key string) (item VersionedItem, found bool, err error)

	// GetIfNewer is GetItem if the entry's version is another than have. An
	// entry of that version is newer == false without its value; so is a
	// missing one, with found == false.
	GetIfNewer(ctx context.Context, key string, have Version) (item VersionedItem, newer, found bool, err error)

	// CompareAndSet replaces the entry if its version is have, and returns the
	// new one. Otherwise nothing changes: *VersionMismatchError if the entry
	// has another version, ErrNoEntry if there is none; it never makes one. It
	// drops a lock on the entry, as Set does. A zero have is ErrInvalidVersion.
	CompareAndSet(ctx context.Context, key string, value []byte, have Version, opts EntryOptions) (Version, error)

	// Add stores the entry if there is none, and returns its version.
	// Otherwise nothing changes and it returns ErrExists. A lease, or a forced
	// lock, is no entry: Add voids it, as Set does. A write mark is no entry
	// either, but refuses it with ErrBeingWritten: whoever adds may have read the
	// source before it is written.
	Add(ctx context.Context, key string, value []byte, opts EntryOptions) (Version, error)

	// RemoveVersion removes the entry if its version is have, locked or not,
	// and reports whether it did. A mismatch is no error; a zero have is
	// ErrInvalidVersion.
	RemoveVersion(ctx context.Context, key string, have Version) (removed bool, err error)
}

// Errors of Versioner and Locker.
var (
	// ErrVersionMismatch matches every *VersionMismatchError.
	ErrVersionMismatch = errors.New("larder: entry has another version")

	// ErrInvalidVersion refuses the zero Version.
	ErrInvalidVersion = errors.New("larder: no version given")

	// ErrNoEntry means that a call that changes an entry found none.
	ErrNoEntry = errors.New("larder: no such entry")

	// ErrExists means that a call that adds an entry found one.
	ErrExists = errors.New("larder: entry exists")

	// ErrLocked means that another lock stands on the entry.
	ErrLocked = errors.New("larder: entry is locked")

	// ErrNotLocked means that no lock stands on the entry.
	ErrNotLocked = errors.New("larder: entry is not locked")

	// ErrInvalidHandle means that the lock on the entry is another's.
	ErrInvalidHandle = errors.New("larder: handle of another lock")
)

// VersionMismatchError tells the version that an entry has instead of the one
// that was expected. Nothing was changed.
type VersionMismatchError struct{ Current Version }

// Error shows the first bytes of the entry's version: enough to tell versions apart.
func (e *VersionMismatchError) Error() string {
	return fmt.Sprintf("%v: %x", ErrVersionMismatch, e.Current[:4])
}

// Is reports whether target is ErrVersionMismatch.
func (e *VersionMismatchError) Is(target error) bool { return target == ErrVersionMismatch }
