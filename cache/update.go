package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Defaults of UpdateOptions.
const (
	// DefaultUpdateAttempts is how often Update tries.
	DefaultUpdateAttempts = 50
	// DefaultLockTTL is how long UpdateLocked's lock stands at most.
	DefaultLockTTL = 10 * time.Second
)

// UpdateOptions are what Update and UpdateLocked may be told. The zero value means
// the defaults.
type UpdateOptions struct {
	// Entry is how the new value is stored, as in Set: the entry that is replaced
	// leaves none of its expiration.
	Entry EntryOptions

	// Attempts is how often Update tries before it gives up. Zero:
	// DefaultUpdateAttempts. Negative: ErrInvalidConfig.
	Attempts int

	// LockTTL is how long UpdateLocked's lock stands at most, and so how long its
	// function may take. Zero: DefaultLockTTL. Negative: ErrInvalidTTL.
	LockTTL time.Duration
}

func (o UpdateOptions) withDefaults(change bool) (UpdateOptions, error) {
	var errs []error
	if !change {
		errs = append(errs, &OptionError{Option: "change", Reason: "must not be nil", Err: ErrInvalidConfig})
	}
	if o.Attempts < 0 {
		errs = append(errs, &OptionError{Option: "UpdateOptions.Attempts", Value: o.Attempts, Reason: "must not be negative", Err: ErrInvalidConfig})
	}
	if o.LockTTL < 0 {
		errs = append(errs, &OptionError{Option: "UpdateOptions.LockTTL", Value: o.LockTTL, Reason: "must not be negative", Err: ErrInvalidTTL})
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultUpdateAttempts
	}
	if o.LockTTL == 0 {
		o.LockTTL = DefaultLockTTL
	}
	return o, errors.Join(errs...)
}

// Update replaces the value under key by what change makes of it, and returns
// that: optimistic concurrency. If somebody else changes the entry meanwhile it
// starts over, after a short random wait, until ctx ends or it has tried
// UpdateOptions.Attempts times; then the error is ErrVersionMismatch. So no
// update of those who use Update, CompareAndSet or Add is lost.
//
// change is called once for each try, and must do nothing but compute. found is
// false if there is no value: no entry, a negative one, or one that cannot be
// decoded. What old points to may be shared with other readers: it must not be
// changed. An error of change ends the update, which then has changed nothing.
//
// If the reply to a write was lost the entry is read again: its version tells
// whether it is the one that this update would have made. ErrOutcomeUnknown
// remains if that cannot tell, because the entry was changed once more or is
// gone, or because the cache cannot be read.
//
// It needs what GetItem needs. Cost: two round trips, and two more for each
// further try. It drops a lock on the entry, as every write does; who must not be
// disturbed uses UpdateLocked everywhere.
func (t *Typed[V]) Update(ctx context.Context, key string, change func(old V, found bool) (V, error), opts UpdateOptions) (V, error) {
	var zero V
	if err := t.versioned(ctx); err != nil {
		return zero, err
	}
	opts, err := opts.withDefaults(change != nil)
	if err != nil {
		return zero, err
	}
	var lost lostWrites[V]
	for try := 1; ; try++ {
		item, at, readErr := t.item(ctx, key)
		if value, landed, unknown := lost.settle(item.Version, readErr); landed || unknown != nil {
			return value, unknown
		}
		if readErr != nil {
			return zero, readErr
		}
		if try > opts.Attempts {
			return zero, mismatch(err)
		}
		var value V
		if value, err = change(item.Value, at == atValue); err != nil {
			return zero, err
		}
		var version Version
		if version, err = t.replace(ctx, key, value, item.Version, opts.Entry); err == nil {
			return value, nil
		}
		switch {
		case errors.Is(err, ErrOutcomeUnknown):
			lost = append(lost, lostWrite[V]{value: value, have: item.Version, made: version, err: err})
		case !errors.Is(err, ErrVersionMismatch) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNoEntry):
			return zero, err
		}
		if pauseErr := pause(ctx, try, time.Millisecond, 64*time.Millisecond); pauseErr != nil && lost == nil {
			return zero, pauseErr
		}
	}
}

// replace stores value where the entry of that version is; if it is zero, where
// there is none.
func (t *Typed[V]) replace(ctx context.Context, key string, value V, have Version, opts EntryOptions) (Version, error) {
	if have == (Version{}) {
		return t.Add(ctx, key, value, opts)
	}
	return t.CompareAndSet(ctx, key, value, have, opts)
}

// mismatch is the error of an update that gave up: err, as a mismatch.
func mismatch(err error) error {
	if errors.Is(err, ErrVersionMismatch) || errors.Is(err, ErrOutcomeUnknown) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrVersionMismatch, err)
}

// lostWrites are the writes of one update whose replies were lost. All replace
// the same version, which no entry ever has again. So while the entry has it none
// of them has been done, and if another try is made and succeeds none ever will.
// Of writes that add the entry that does not hold: a key may be absent again, and
// a late one may then still be done.
type lostWrites[V any] []lostWrite[V]

type lostWrite[V any] struct {
	value      V
	have, made Version
	err        error
}

// settle tells what became of the writes, now that the entry has this version or
// cannot be read: whether one was done, and with what value, or that it cannot be
// known. Neither: none was done.
func (l lostWrites[V]) settle(is Version, readErr error) (value V, landed bool, unknown error) {
	for _, w := range l {
		if readErr == nil && w.made == is && is != (Version{}) {
			return w.value, true, nil
		}
	}
	for _, w := range l {
		if readErr != nil || w.have != is || is == (Version{}) {
			return value, false, w.err
		}
	}
	return value, false, nil
}

// UpdateLocked replaces the value under key by what change makes of it, and
// returns that: pessimistic concurrency. It waits for the lock on the entry, or on
// the absent key, until ctx ends, asking again after short random waits; the
// order in which those who wait get it is not promised.
//
// change is called once, with the lock held, found and old as in Update. Its
// context ends when ctx does, or when the lock runs out (its cause is then
// ErrNotLocked); what it returns later is refused, but what it did elsewhere is
// done. So what it writes elsewhere it must write with the fencing token: see
// Locker. If change returns an error, panics or ends its goroutine, the lock is
// given back and nothing is stored.
//
// A lock compels nobody: if somebody writes the entry without it, or it runs out,
// the error is ErrNotLocked, ErrInvalidHandle or ErrNoEntry, and nothing is
// stored. If the reply to the write was lost it is found out what became of it:
// ErrUnavailable means that it was not done, and ErrOutcomeUnknown remains if
// that cannot be known.
//
// It needs what GetAndLock and GetItem need. Cost: two round trips, and one more
// each time that another holds the lock.
func (t *Typed[V]) UpdateLocked(ctx context.Context, key string, change func(ctx context.Context, old V, found bool, fence uint64) (V, error), opts UpdateOptions) (V, error) {
	var zero V
	if err := errors.Join(t.lockable(ctx), t.versioned(ctx)); err != nil {
		return zero, err
	}
	opts, err := opts.withDefaults(change != nil)
	if err != nil {
		return zero, err
	}
	item, at, handle, until, err := t.waitForLock(ctx, key, opts.LockTTL)
	if err != nil {
		return zero, err
	}
	held := true
	defer func() {
		if held {
			_ = t.giveBack(ctx, key, handle) // else it ends by itself
		}
	}()
	work, cancel := context.WithDeadlineCause(ctx, until, ErrNotLocked)
	defer cancel()
	value, err := change(work, item.Value, at == atValue, item.Fence)
	if err != nil {
		return zero, err
	}
	version, err := t.PutAndUnlock(ctx, key, value, handle, opts.Entry)
	if errors.Is(err, ErrOutcomeUnknown) {
		err = t.settleLocked(ctx, key, handle, version, err)
		held = false
	}
	if err != nil {
		return zero, err
	}
	held = false
	return value, nil
}

// waitForLock locks the key, as soon as no other lock stands. The lock does not
// run out before until. A lock whose reply was lost is taken back by the cache, or
// runs out.
func (t *Typed[V]) waitForLock(ctx context.Context, key string, ttl time.Duration) (item Versioned[V], at found, handle LockHandle, until time.Time, err error) {
	for try := 1; ; try++ {
		until = time.Now().Add(ttl)
		item, at, handle, err = t.lock(ctx, key, ttl, LockOptions{Force: true})
		if !errors.Is(err, ErrLocked) && !errors.Is(err, ErrOutcomeUnknown) {
			return item, at, handle, until, err
		}
		if err = pause(ctx, try, 4*time.Millisecond, 64*time.Millisecond); err != nil {
			return item, at, handle, until, err
		}
	}
}

// settleLocked finds out what became of a PutAndUnlock whose reply was lost. If
// the lock could be ended it stood until now: then nothing was stored, and as the
// handle is dead nothing will be.
func (t *Typed[V]) settleLocked(ctx context.Context, key string, handle LockHandle, made Version, lost error) error {
	if t.giveBack(ctx, key, handle) == nil {
		return fmt.Errorf("%w: nothing was stored", ErrUnavailable)
	}
	item, _, err := t.item(ctx, key)
	if err == nil && made != (Version{}) && item.Version == made {
		return nil
	}
	return lost
}

// pause waits for a random time that grows with try up to longest, or until ctx
// ends.
func pause(ctx context.Context, try int, first, longest time.Duration) error {
	most := min(first<<min(try-1, 20), longest)
	timer := time.NewTimer(rand.N(most) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
