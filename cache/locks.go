package cache

import (
	"context"
	"time"
)

// LockHandle is the unguessable token of one lock. The zero LockHandle is none.
type LockHandle [16]byte

// LockOptions are what GetAndLock may be told.
type LockOptions struct {
	// Force locks the key although it has no entry; see GetAndLock.
	Force bool
}

// Locker keeps others from changing an entry through the same interface:
// pessimistic concurrency. A lock asks for consent, it does not compel: reads
// see the value, never wait and never fail, and Set, Remove, Increment,
// CompareAndSet and Clear succeed and drop the lock.
//
// While a lock stands the entry does not expire. A lock ends with Unlock or
// PutAndUnlock, or by itself after its ttl; an entry that is past its deadline
// then is gone. A handle whose lock has ended is dead.
//
// A lock is not a mutex for anything but the entry: its holder may be paused
// while it runs out. So each lock comes with a fencing token, the item's Fence:
// whoever writes elsewhere under the lock stores the token with what it writes,
// and lets nothing be written with a smaller one than is there (in SQL: UPDATE
// ... SET fence = :fence WHERE id = :id AND fence <= :fence).
//
// A fencing token is greater than that of every earlier lock on the key of which
// the cache still knows, and never less than the time in microseconds: of the
// server for a remote cache, else of the process. So it also grows from lock to
// lock when those are forgotten, but only as far as that clock does not go back,
// as it may when a server is replaced by one whose clock is behind. It fits an
// int64.
//
// Values are byte values; a counter is ErrWrongType, and so is an object (see
// ObjectLocker), except that Unlock, RemoveLocked and ResetTTL take either kind.
//
// Each change is one atomic step and one round trip. A ttl that is not positive
// is ErrInvalidTTL; a zero handle is ErrInvalidHandle.
type Locker interface {
	// GetAndLock locks the entry for ttl and returns it. The version stays. If
	// a lock stands it returns ErrLocked at once, whoever holds it. Without an
	// entry it returns ErrNoEntry; with Force it locks the absent key: the item
	// is then the zero VersionedItem with Locked and Fence set, reads miss, Lease
	// is refused, and PutAndUnlock stores the entry. Force drops a write mark, whose
	// EndWrite then removes the lock or what it stored.
	GetAndLock(ctx context.Context, key string, ttl time.Duration, opts LockOptions) (item VersionedItem, handle LockHandle, err error)

	// PutAndUnlock replaces the entry and ends the lock, and returns the new
	// version. ErrNoEntry if there is no entry (and no forced lock),
	// ErrNotLocked if no lock stands, ErrInvalidHandle if it is another's;
	// then nothing changes. It ends loads in flight for key, as Set does.
	PutAndUnlock(ctx context.Context, key string, value []byte, handle LockHandle, opts EntryOptions) (Version, error)

	// Unlock ends the lock, with errors as PutAndUnlock. With a positive ttl
	// the entry lives that long from now (its sliding window stays); with 0 it
	// keeps its deadline, and is gone if that has passed; NoExpiry takes the
	// deadline away. A ttl or NoExpiry restarts the sliding window. A
	// forced lock on an absent key leaves it absent.
	Unlock(ctx context.Context, key string, handle LockHandle, ttl time.Duration) error

	// RemoveLocked removes the entry if this lock stands on it, and reports
	// whether it did. A mismatch is no error. A forced lock on an absent key
	// ends; nothing was removed.
	RemoveLocked(ctx context.Context, key string, handle LockHandle) (removed bool, err error)

	// ResetTTL gives the entry ttl to live from now, shorter or longer, locked
	// or not (then it counts from the end of the lock's suspension as any
	// deadline does), and restarts the sliding window. The version, the lock
	// and the length of the window stay. ErrNoEntry if there is none.
	ResetTTL(ctx context.Context, key string, ttl time.Duration) error
}
