package stress_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"
)

const (
	opsKept  = 64 // of each key, for reports
	duesKept = 32 // of each key
)

// board is the memory that all processes of a run share. Everything in it is
// atomic, so that a process may be killed at any point.
type board struct {
	counts   [kinds]atomic.Int64
	reported atomic.Int64
	rows     [keyCount]row
}

// row is one key's row in the source, and what is known of its entry.
type row struct {
	version atomic.Int64 // in the source
	floor   atomic.Int64 // the oldest version that a read which starts now may get
	seq     atomic.Int64 // operations so far
	ops     [opsKept]op  // the last of them; seq counts from 1
	dueSeq  atomic.Int64
	dues    [duesKept]due
}

// due is a write under a mark: what a read may get at least that starts when the
// mark has run out, whatever has become of the writer.
type due struct{ version, at atomic.Int64 } // at is 0 or unset while it is not to be used

const unset = 1<<63 - 1

// fallsDue notes that version was committed under a mark which is over by then.
func (r *row) fallsDue(version int64, at time.Time) {
	d := &r.dues[r.dueSeq.Add(1)%duesKept]
	d.at.Store(unset)
	d.version.Store(version)
	d.at.Store(at.UnixNano())
}

// least returns the oldest version that a read which starts now may get, and
// whether that is so only because a mark has run out.
func (r *row) least() (version int64, outlived bool) {
	now := time.Now().UnixNano()
	for i := range r.dues {
		d := &r.dues[i]
		at := d.at.Load()
		if v := d.version.Load(); at != 0 && at <= now && at == d.at.Load() {
			version = max(version, v)
		}
	}
	if floor := r.floor.Load(); floor >= version {
		return floor, false
	}
	return version, true
}

// count is something that a run counts. A process that is killed takes along
// what its cache counted in its last few milliseconds.
type count int

const (
	reads         count = iota // that brought a value
	stale                      // of these, a value older than the floor or of another key
	left                       // ended with their caller's context
	loads                      // of the source
	joined                     // callers that waited for another's load
	fillsRefused               // load results not stored
	joinsRefused               // loads not joined, because of a write in another process
	regionalReads              // of the reads, of keys in regions
	writes                     // begun
	told                       // of these, where the cache was told without an error
	unknown                    // with an error that leaves open whether it was
	removals                   // of the writes, followed by a Remove
	marked                     // under a mark
	overlapped                 // of these, not stored because of another write
	expiries                   // followed by the expiration of a token, or of several
	ofKeys                     // of these, of keys of regions
	ofRegions                  // of a region
	ofAll                      // of a region of all, or of everything
	outlived                   // reads of a key whose last writer never told the cache, and whose mark has run out
	kinds
)

// counts are the counts at some moment.
type counts [kinds]int64

func (b *board) add(c count, n int64) { b.counts[c].Add(n) }

func (b *board) counted() (c counts) {
	for i := range b.counts {
		c[i] = b.counts[i].Load()
	}
	return c
}

// raise makes version the key's floor, unless it is higher already.
func (r *row) raise(version int64) {
	for {
		floor := r.floor.Load()
		if floor >= version || r.floor.CompareAndSwap(floor, version) {
			return
		}
	}
}

// op is something that happened to a key. An operation is noted just after it
// happened, so two at the same moment may stand in either order.
type op struct{ seq, kind, version, process atomic.Int64 }

type opKind int64

const (
	opWrote   opKind = iota // the source
	opRemoved               // Remove or EndWrite returned nil, the floor is raised next
	opUnknown               // it returned an error
	opMarked                // BeginWrite returned nil; the version is the one before
	opLoaded                // read from the source, not returned yet
	opExpired               // the expiration of a token returned nil, the floor is raised next
	opStale                 // a read brought it
)

func (k opKind) String() string {
	return [...]string{"wrote", "removed what is older than", "does not know whether it removed what is older than", "has marked the key and writes after", "loads", "expired what is older than", "got the stale"}[k]
}

func (r *row) note(process int, kind opKind, version int64) {
	seq := r.seq.Add(1)
	o := &r.ops[seq%opsKept]
	o.kind.Store(int64(kind))
	o.version.Store(version)
	o.process.Store(int64(process))
	o.seq.Store(seq)
}

// history tells the last operations, the latest last.
func (r *row) history() string {
	var text strings.Builder
	last := r.seq.Load()
	for seq := max(1, last-opsKept+1); seq <= last; seq++ {
		if o := &r.ops[seq%opsKept]; o.seq.Load() == seq {
			fmt.Fprintf(&text, "\n  %d: process %d %v version %d", seq, o.process.Load(), opKind(o.kind.Load()), o.version.Load())
		}
	}
	return text.String()
}
