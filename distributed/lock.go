package distributed

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/internal/transport"
	"github.com/larder-go/larder/internal/envelope"
)

// A lock is a part of the entry (see internal/envelope), so whatever replaces
// the entry drops it. The key's Redis TTL is then the later of the entry's
// deadline and the lock's, so nobody has to clean up after a lock that ran out:
// an entry that should have expired meanwhile is gone at that moment, any other
// stays, and everyone sees by the server's clock that no lock stands.

// GetAndLock locks the entry for ttl and returns it: one script. A damaged
// entry is none, and takes two scripts more. If the outcome is unknown the lock
// is taken back in the background. See cache.Locker.
func (c *Cache) GetAndLock(ctx context.Context, key string, ttl time.Duration, opts cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
	const op = "get_and_lock"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.VersionedItem{}, cache.LockHandle{}, err
	}
	ttl, err := leaseTTL(ttl)
	if err != nil {
		return cache.VersionedItem{}, cache.LockHandle{}, failed(op, key, err)
	}
	item, handle, err := c.lock(ctx, op, key, ttl, opts)
	if errors.Is(err, errDamaged) {
		item, handle, err = c.lock(ctx, op, key, ttl, opts)
	}
	if errors.Is(err, errDamaged) {
		err = failed(op, key, cache.ErrNoEntry)
	}
	return item, handle, err
}

// errDamaged means that the entry was unusable, and is gone.
var errDamaged = errors.New("larder: damaged entry")

// lock is one attempt at a lock.
func (c *Cache) lock(ctx context.Context, op, key string, ttl time.Duration, opts cache.LockOptions) (cache.VersionedItem, cache.LockHandle, error) {
	name, handle := c.name(key), newHandle()
	var hold []byte
	if opts.Force {
		hold = holdHeader(name)
	}
	a, err := c.runScript(ctx, op, key, lockScript, transport.Write, handle[:], millis(ttl), hold)
	switch {
	case errors.Is(err, cache.ErrOutcomeUnknown):
		c.forgetLock(name, handle)
	case a.word == "other" && opts.Force:
		err = failed(op, key, cache.ErrWrongType)
	}
	if err != nil {
		return cache.VersionedItem{}, cache.LockHandle{}, err
	}
	if a.word == "hold" {
		c.noteRead(ctx, op, entry{state: isHold}, isValue)
		return cache.VersionedItem{Locked: true, Fence: a.fence(0)}, handle, nil
	}
	e := decode(name, []byte(a.text(0)))
	if e.state == isValue {
		c.noteRead(ctx, op, e, isValue)
		item := e.item(a.number(1), true)
		item.Fence = a.fence(2)
		return item, handle, nil
	}
	// The script sees the header only, so it has locked what cannot be read.
	c.noteRead(ctx, op, e, isValue)
	if _, err := c.removeIf(ctx, op, key, nil, handle[:]); err != nil {
		return cache.VersionedItem{}, cache.LockHandle{}, err
	}
	return cache.VersionedItem{}, cache.LockHandle{}, errDamaged
}

// PutAndUnlock replaces the entry and ends the lock: one script. If the outcome
// is unknown it returns a version as CompareAndSet does. See cache.Locker.
func (c *Cache) PutAndUnlock(ctx context.Context, key string, value []byte, handle cache.LockHandle, opts cache.EntryOptions) (cache.Version, error) {
	const op = "put_and_unlock"
	if err := c.beginKey(ctx, op, key); err != nil {
		return cache.Version{}, err
	}
	if handle == (cache.LockHandle{}) {
		return cache.Version{}, failed(op, key, cache.ErrInvalidHandle)
	}
	return c.change(ctx, op, key, value, opts, commitScript, handle[:])
}

// Unlock ends the lock: one script. See cache.Locker.
func (c *Cache) Unlock(ctx context.Context, key string, handle cache.LockHandle, ttl time.Duration) error {
	const op = "unlock"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	if handle == (cache.LockHandle{}) {
		return failed(op, key, cache.ErrInvalidHandle)
	}
	life, err := unlockTTL(ttl)
	if err != nil {
		return failed(op, key, err)
	}
	a, err := c.runScript(ctx, op, key, unlockScript, transport.Write, handle[:], life)
	if a.word == "gone" || errors.Is(err, cache.ErrOutcomeUnknown) {
		c.coordinator.Invalidate(key)
	}
	return err
}

// RemoveLocked removes the entry if this lock stands on it: one script. See
// cache.Locker.
func (c *Cache) RemoveLocked(ctx context.Context, key string, handle cache.LockHandle) (bool, error) {
	const op = "remove_locked"
	if err := c.beginKey(ctx, op, key); err != nil {
		return false, err
	}
	if handle == (cache.LockHandle{}) {
		return false, failed(op, key, cache.ErrInvalidHandle)
	}
	return c.removeIf(ctx, op, key, nil, handle[:])
}

// ResetTTL gives the entry ttl to live from now: one script, which moves no
// value. See cache.Locker.
func (c *Cache) ResetTTL(ctx context.Context, key string, ttl time.Duration) error {
	const op = "reset_ttl"
	if err := c.beginKey(ctx, op, key); err != nil {
		return err
	}
	ttl, err := leaseTTL(ttl)
	if err != nil {
		return failed(op, key, err)
	}
	_, err = c.runScript(ctx, op, key, expireScript, transport.Write, millis(ttl))
	return err
}

// The answers of unlockTTL that are no number of milliseconds.
const (
	ttlAsBefore = "0"
	ttlForever  = "-1"
)

// unlockTTL returns a time to live as the unlock script takes it.
func unlockTTL(ttl time.Duration) (string, error) {
	switch ttl {
	case 0:
		return ttlAsBefore, nil
	case cache.NoExpiry:
		return ttlForever, nil
	}
	ttl, err := leaseTTL(ttl)
	return millis(ttl), err
}

// newHandle returns an unguessable handle.
func newHandle() (handle cache.LockHandle) {
	_, _ = rand.Read(handle[:]) // never fails
	return handle
}

// holdHeader returns what a hold begins with; the script adds the lock.
func holdHeader(name string) []byte {
	raw := envelope.Append(make([]byte, 0, envelope.HeaderSize+envelope.LockSize),
		envelope.Header{Kind: envelope.Hold}, envelope.Digest(name), nil)
	return raw[:envelope.HeaderSize]
}

// forgetLock takes back the lock of a request without an answer: if it was
// granted, nobody would know, and it would stand until it runs out.
func (c *Cache) forgetLock(name string, handle cache.LockHandle) {
	c.transport.Background(name, unlockScript.Cmd(context.Background(), name, entryArgs(name, handle[:], ttlAsBefore)...))
}
