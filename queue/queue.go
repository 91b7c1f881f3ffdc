// Package queue is the contract of a write-behind queue: what stands between a
// write that was acknowledged and the source that has it. Package patterns puts a
// repository on top; package queuetest tests any implementation.
//
// A queue holds bytes under text keys and is the only thing that must survive
// for an acknowledged write to survive. It is at the same time the place where
// readers find what the source does not have yet. It is no general job queue:
// what counts is the newest value of a key, not the number of writes.
//
// # The state of a key
//
// Of each key a queue holds at most two items, in the order in which the source
// gets them:
//
//	ahead   was claimed at least once: it is being written, waits for
//	        its next attempt, or is dead; the source may have it
//	open    nobody has claimed it: a newer write takes its place
//
// A write never takes the place of what is being written at that moment: it
// stays open behind it. So an acknowledgement, which names the sequence that was
// written and the claim under which it was, never removes a newer value. What an
// open item may replace beside another open item is its [Mode].
//
// # Order
//
// Sequences rise within a key for as long as the source lives: whatever is
// acknowledged, dropped, restarted or lost in between. The items of a key are
// claimed one at a time and in this order. An item may be delivered more than
// once, and a worker that lost its claim may still be writing: a source that
// must not see either keeps the sequence and refuses lower ones and the same
// one again.
//
// # Capabilities
//
// A queue implements [Queue] (five methods) and as many of [DeadLetters],
// [Flusher], [Sequencer] and [Preflighter] as it can; the memory queue, and every
// durable one, has the first three.
package queue

import (
	"context"
	"errors"
	"time"
)

// Queue is a write-behind queue. Its methods are safe for concurrent use, by
// several processes if it is durable. They check their input and the context
// first, and return the context's own error if that has ended. A method that
// changes something has three outcomes: done (nil), not done (an error), or
// cache.ErrOutcomeUnknown.
//
// One queue belongs to one kind of entity: whoever claims must be able to apply
// whatever was enqueued.
type Queue interface {
	// Enqueue accepts a write: once it returned nil, the write reaches the
	// source, or the dead letters, or is replaced by a newer one. Payload,
	// sequence and the key's being dirty are stored in one atomic step, at the
	// queue's full durability. It returns the write's sequence, which is higher
	// than that of any write of the key accepted before.
	//
	// A queue without room returns ErrFull and changes nothing; what it holds
	// may still be replaced by writes that need no more room. A write that can
	// never fit is ErrTooLarge. A Merge that must be tried again is ErrConflict.
	// The payload is copied.
	Enqueue(ctx context.Context, w Write) (sequence uint64, err error)

	// Lookup returns what is queued of each key, in the order of keys. It sees
	// every write whose Enqueue returned before, and no longer sees one only
	// after the source had it. One round trip; the payloads belong to the caller.
	Lookup(ctx context.Context, keys []string) ([]State, error)

	// Claim takes up to o.Max items that are due and gives the caller the right
	// to write them until o.Visibility has passed: the oldest first, one for each
	// key. Afterwards they are due again. It does not wait; no items is no error.
	Claim(ctx context.Context, o ClaimOptions) ([]Claim, error)

	// Settle says what became of claimed items, of distinct keys. A claim that was not the last
	// one of its item is SettledLost and changes nothing. One round trip.
	Settle(ctx context.Context, outcomes []Outcome) ([]Settled, error)

	// Stats returns how much is queued, and what was done so far.
	Stats(ctx context.Context) (Stats, error)
}

// Write is a write to be enqueued.
type Write struct {
	// Key is the entity's key; cache.CheckKey says which are valid.
	Key string
	// Payload is what the source is to be given; nil and empty are the same. A
	// deletion may have one, too.
	Payload []byte
	// Deleted says that the write deletes the entity.
	Deleted bool
	// Mode says what of the key the write replaces. Use one mode for a queue.
	Mode Mode
	// Onto is for Merge.
	Onto uint64
}

// Mode says what a write replaces.
type Mode uint8

const (
	// Replace is for values that are whole: the last write wins. It takes the
	// place of the open item, of an item that waits for its next attempt, and of a
	// dead one, and gets attempts of its own. The item being written, if that
	// fails, is replaced by the open one behind it.
	Replace Mode = iota
	// Park takes the place of the open item only. An item ahead keeps its place
	// until it is written, or, if dead, until it is retried or dropped; others
	// wait behind it.
	Park
	// Merge is for increments. It is as Park, and its payload contains that of
	// the open item it replaces: it is accepted only if Onto is that item's
	// sequence, or 0 if there is none, and else is ErrConflict. Look up, merge
	// and try again.
	Merge
)

// Item is a write in the queue. It stands for all writes that it replaced.
type Item struct {
	Key      string
	Payload  []byte
	Deleted  bool
	Sequence uint64        // of the newest write in it
	First    uint64        // of the oldest write in it that may not be in the source
	Writes   int           // how many were accepted, this one included
	Age      time.Duration // since First was accepted, by the queue's clock
}

// State is what is queued of one key. The zero State is nothing.
type State struct {
	Ahead *Item // claimed before and not dead: the source may have it already
	Open  *Item // the source does not have it
	Dead  bool  // there is a dead letter
}

// Newest returns the newest item that is on its way to the source; nil if there
// is none.
func (s State) Newest() *Item {
	if s.Open != nil {
		return s.Open
	}
	return s.Ahead
}

// ClaimOptions are Claim's.
type ClaimOptions struct {
	// Max is the most items to claim; it must be positive.
	Max int
	// Visibility is for how long; it must be positive. Whoever writes to the
	// source must have ended, or be ended, before it is over.
	Visibility time.Duration
}

// Claim is the right to write one item.
type Claim struct {
	Item

	// Attempt counts the times that the item was claimed, from 1. Claims that
	// ran out count; those settled as Deferred do not.
	Attempt int
	// Token tells this claim from others of the item. It is the queue's.
	Token uint64
}

// Outcome says what became of a claim. Only Key, Sequence and Token of the claim
// matter.
type Outcome struct {
	Claim  Claim
	Result Result
	// After is how long a Failed or Deferred item waits for its next attempt.
	// Zero: it is due at once. Negative is refused.
	After time.Duration
	// Reason is kept with a dead letter, cut to MaxReason bytes.
	Reason string
}

// Result is what became of a claim.
type Result uint8

const (
	// Done: the source has the item, or a newer one.
	Done Result = iota + 1
	// Failed: the source refused it, or may not have it. It is to be tried again.
	Failed
	// Deferred is Failed for what is not the item's fault: the attempt does not
	// count.
	Deferred
	// Dead: it is not to be tried again, and becomes a dead letter.
	Dead
)

// Settled is what the queue made of an outcome.
type Settled uint8

const (
	// SettledLost: the claim had run out, and another claimed the item since, or
	// the item is gone. Nothing was changed.
	SettledLost Settled = iota
	// SettledDone: the item is gone.
	SettledDone
	// SettledQueued: the item waits for its next attempt.
	SettledQueued
	// SettledReplaced: the item failed or is dead, and a newer whole value, which
	// waits, took its place.
	SettledReplaced
	// SettledDead: the item is a dead letter.
	SettledDead
)

// MaxReason is the longest reason that is kept with a dead letter, in bytes.
const MaxReason = 1024

// DeadLetters are the items that the source refused for good. They count as
// queued against the queue's limits, and are kept until they are retried,
// dropped or, see Replace, replaced. A key has at most one.
type DeadLetters interface {
	// Dead returns up to limit dead letters of keys after the given one ("" is
	// before all) in the order of their keys.
	Dead(ctx context.Context, after string, limit int) ([]DeadLetter, error)

	// Revive makes the dead letter of this key and sequence due, as the item it
	// was, ahead of what waits behind it, with attempts counted anew. One that
	// is not there is ErrNoDeadLetter.
	Revive(ctx context.Context, key string, sequence uint64) error

	// Drop deletes the dead letter of this key and sequence for good; what waits
	// behind it is due. One that is not there is ErrNoDeadLetter.
	Drop(ctx context.Context, key string, sequence uint64) error
}

// DeadLetter is an item that the source refused for good.
type DeadLetter struct {
	Item
	Attempts int           // how often it was claimed
	Reason   string        // of the last failure; it may hold what the source said about the data
	Since    time.Duration // how long it has been dead, by the queue's clock
}

// Flusher tells whether everything that was enqueued by some moment has left the
// queue.
type Flusher interface {
	// Barrier returns a barrier behind all writes accepted so far.
	Barrier(ctx context.Context) (Barrier, error)

	// Before returns how many items hold a write accepted before b. Dead letters
	// do not count, nor do items parked behind one.
	Before(ctx context.Context, b Barrier) (int, error)
}

// Barrier is a place in the order of writes; what it holds is the queue's.
type Barrier []uint64

// Sequencer gives out sequences for writes that go past the queue.
type Sequencer interface {
	// NextSequence returns a sequence for a write of key, as Enqueue would.
	NextSequence(ctx context.Context, key string) (uint64, error)
}

// Preflighter is the capability of a queue on a server that may be set up so
// that acknowledged writes are lost.
type Preflighter interface {
	// Preflight returns an error that says what is wrong if the server may evict
	// queued items, does not persist them, or cannot be asked. It is called before
	// the queue is taken into use.
	Preflight(ctx context.Context) error
}

// Volatile is the mark of a queue whose items end with its process.
type Volatile interface{ Volatile() }

// Stats is what a queue holds, and what was done with it. Counters of a durable
// queue are those of this process.
type Stats struct {
	Queued   int           // items, claimed ones included and dead letters not
	InFlight int           // of these, claimed at the moment
	Dead     int           // dead letters
	Bytes    int64         // of keys and payloads, dead letters included
	Oldest   time.Duration // age of the oldest item that is not dead; 0: there is none

	Enqueued    uint64 // writes accepted
	Coalesced   uint64 // of these, taken in by an item that was there
	Rejected    uint64 // writes refused because there was no room
	Claimed     uint64 // claims given out
	Redelivered uint64 // of these, of items whose claim ran out
	Done        uint64 // items that left for the source
	Failed      uint64 // attempts that failed, deferred ones included
	Replaced    uint64 // items that failed and were replaced by a newer value
	Lost        uint64 // outcomes that came too late
	Buried      uint64 // dead letters made
}

// Errors of every queue, to be asked for with errors.Is. Their texts contain
// neither keys nor values.
var (
	// ErrFull means that the queue has no room for a write. It was not accepted.
	ErrFull = errors.New("larder: queue is full")

	// ErrTooLarge means that a write is too large for the queue, even an empty
	// one.
	ErrTooLarge = errors.New("larder: write is too large for the queue")

	// ErrConflict means that a Merge was not onto what is open.
	ErrConflict = errors.New("larder: the queued write has changed")

	// ErrNoDeadLetter means that there is no such dead letter: it was retried,
	// dropped or replaced.
	ErrNoDeadLetter = errors.New("larder: no such dead letter")

	// ErrVolatile means that the queue's server may lose what it accepted. See
	// Preflighter.
	ErrVolatile = errors.New("larder: the queue's server may lose acknowledged writes")
)
