package cache

import (
	"context"
	"errors"
	"time"
)

// WriteMarker guards writes to the source against processes that die between
// the source's commit and the invalidation of its entry, and against loads that
// read the source while it is being written.
//
// A writer marks the key, changes the source, and ends its write. From BeginWrite
// to EndWrite the key has no value: reads miss, loads run and are not stored, and
// concurrent callers share them. If the writer dies its part of the mark runs
// out, and what was under the key is gone. Several writers may mark one key at
// once; the mark stands until the last of them has ended.
//
// The mark must outlive the change of the source: whoever may commit after ttl
// has passed must check the time, taken before BeginWrite, just before it
// commits, and abort if it is too late. [Write] does.
//
// A Set, a counter's Increment and a forced lock drop a mark; Remove and Clear
// let it stand, but void the loads under it. A marked key has no entry: it cannot
// be locked without force; Add and SetIfNewer refuse it with ErrBeingWritten. EndWrite of
// a mark that is no longer there removes what took its place, since nobody can
// tell when that was loaded.
type WriteMarker interface {
	// BeginWrite removes what is under key, voids its lease and the loads in
	// flight, and marks the key for at most ttl. One round trip. With
	// ErrOutcomeUnknown the mark is returned as well, for EndWrite; with any
	// other error nothing was changed. More than MaxWriters at once are refused
	// with ErrTooManyWriters. A ttl that is not positive is ErrInvalidTTL.
	BeginWrite(ctx context.Context, key string, ttl time.Duration) (WriteMark, error)

	// EndWrite ends the write: a caller that starts after it returned never gets
	// what was loaded before. It is to be called whether or not the source was
	// changed, and may be called again; after a Set with this mark that removes
	// what the Set stored. One round trip. A mark without a writer is
	// ErrInvalidMark.
	//
	// To store the new value in the same step, call Set or SetObject with
	// EntryOptions.Mark instead.
	EndWrite(ctx context.Context, key string, mark WriteMark) error
}

// WriteMark is one writer's part of the mark on one key. The zero WriteMark is
// none.
type WriteMark struct {
	Writer [16]byte // who writes; unguessable
	Epoch  [16]byte // of the mark as BeginWrite left it, every change makes another; zero if others had marked the key before
}

// MaxWriters is how many writers may mark one key at once.
const MaxWriters = 64

var (
	// ErrWriteOverlapped means that a Set with EntryOptions.Mark ended its
	// write, as EndWrite does, but stored nothing: another writer, or an
	// invalidation, came between, so the value may be out of date.
	ErrWriteOverlapped = errors.New("larder: another write overlapped; the value was not stored")

	// ErrTooManyWriters refuses a BeginWrite for a key that MaxWriters have
	// marked.
	ErrTooManyWriters = errors.New("larder: too many writers of one key")

	// ErrInvalidMark refuses a WriteMark without a writer.
	ErrInvalidMark = errors.New("larder: no write mark given")

	// ErrBeingWritten refuses an Add or SetIfNewer of a marked key. It is also the reason of an
	// EventFillRefused for a load that began under a mark.
	ErrBeingWritten = errors.New("larder: the source of the key is being written")
)
