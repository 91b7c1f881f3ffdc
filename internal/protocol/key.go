package protocol

// ID is a token or a region's generation: something that is made up freshly,
// remembered, and compared. 0 is none.
type ID uint8

// Kind is what a Redis key holds. A key is always exactly one of these, which
// is why one key suffices: whatever takes the place of a lease voids it.
type Kind uint8

const (
	Absent Kind = iota
	Filled      // a value
	Leased      // the token of the one load that may fill the key
	Marked      // the tokens of the writers that may be about to commit
)

// Value is what a load or a write brought.
type Value struct {
	Version uint8 // of the source, from 1
	Stamp   ID    // the region's generation it was loaded under; 0 without regions
}

// Key is the state of one Redis key. Fields that its Kind does not have are 0.
type Key struct {
	Kind    Kind
	Value   Value
	Token   ID      // Leased: of the load. Marked: the epoch
	Writers Writers // Marked: who has begun and not ended
}

// Writers is a set of writer tokens. Bit i is that of the writer with index i.
type Writers uint8

// Reply is what PEEK and LEASE answer.
type Reply uint8

const (
	Free       Reply = iota // nobody is in charge of the key
	Granted                 // LEASE only: it was free; load and fill it
	Found                   // there is a value
	Busy                    // another load has the lease: wait, or load and do not fill
	BeingSaved              // there is a write mark: load, and do not fill
)

// Peek is PEEK, what a caller sends after a miss if a flight is running in its
// process: one GET, which changes nothing. A value of an earlier generation than
// current is as good as none. With Busy and BeingSaved goes the key's token,
// which identifies the loads that are up to date.
func Peek(k Key, current ID) Reply {
	switch k.Kind {
	case Filled:
		if k.Value.Stamp == current {
			return Found
		}
	case Leased:
		return Busy
	case Marked:
		return BeingSaved
	}
	return Free
}

// Lease is LEASE, what whoever leads a load sends before it: PEEK that takes the lease,
// with the token fresh, if the key is free. In Redis it is one SET NX GET; over
// a value of an earlier generation it is two commands, of which the second
// replaces exactly what the first one saw.
func Lease(k Key, current, fresh ID) (Key, Reply) {
	if reply := Peek(k, current); reply != Free {
		return k, reply
	}
	return Key{Kind: Leased, Token: fresh}, Granted
}

// Fill is FILL, the end of a load: store v if the key still is exactly the
// lease that this load was given. Everything that happened to the key since
// then, a write above all, has replaced the lease, and the value is thrown
// away.
func Fill(k Key, token ID, v Value) Key {
	if k.Kind == Leased && k.Token == token {
		return Key{Kind: Filled, Value: v}
	}
	return k
}

// Release is RELEASE, a lease given back because the load brought nothing to
// store. It compares as FILL does: another load's lease, a value or a mark stay.
func Release(k Key, token ID) Key {
	if k.Kind == Leased && k.Token == token {
		return Key{}
	}
	return k
}

// Invalidate is INVALIDATE, after a write that sent no BEGIN_WRITE: delete the
// key, and with it whatever lease there is. A write mark stays, for it guards
// another writer's commit, but under a new epoch: the loads under the old one
// may have read what was invalidated, so nobody may join them; and the writer
// that made the mark is no longer the last to have written, so it may not store.
func Invalidate(k Key, fresh ID) Key {
	if k.Kind == Marked {
		k.Token = fresh
		return k
	}
	return Key{}
}

// BeginWrite is BEGIN_WRITE, before a transaction: put w's mark in the place of
// the value or lease, or add w to the writers of the mark that is there. Either
// way the mark gets a new epoch. It returns the epoch under which w may store
// its value at the end: the new one, or 0 if other writers were there already.
func BeginWrite(k Key, w Writers, fresh ID) (Key, ID) {
	if k.Kind != Marked {
		return Key{Kind: Marked, Token: fresh, Writers: w}, fresh
	}
	alone := k.Writers&^w == 0
	k.Token, k.Writers = fresh, k.Writers|w
	if !alone {
		return k, 0
	}
	return k, fresh
}

// EndWrite is END_WRITE, after the transaction was committed or rolled back:
// take w out of the mark. If others remain, the mark stays under a new epoch,
// see Invalidate. The last one out deletes the key, or stores v if it has one
// and the mark still has the epoch that its BEGIN_WRITE returned: then nobody
// else began, ended or invalidated since.
//
// If w's mark is gone (it ran out, or was evicted) the key is treated as by
// Invalidate: it may hold what was loaded before the commit.
func EndWrite(k Key, w Writers, epoch ID, v Value, fresh ID) Key {
	if k.Kind != Marked {
		return Key{}
	}
	if k.Token == epoch && v.Version != 0 {
		return Key{Kind: Filled, Value: v}
	}
	k.Writers &^= w
	if k.Writers == 0 {
		return Key{}
	}
	k.Token = fresh
	return k
}

// Expire is the end of a writer's token in a mark: its time is over. A mark
// without tokens is gone. It may happen only when the writer can no longer
// commit, see Protocol.MarkMayExpire.
func (k Key) Expire(w Writers) Key {
	k.Writers &^= w
	if k.Writers == 0 {
		return Key{}
	}
	return k
}

// Flight is a load that is running in a process, as its other callers see it.
type Flight struct {
	Token ID // what its LEASE reply showed: its lease, another's, or the epoch of a mark
	Stamp ID // the region's generation, read before the load began
}

// MayJoin is the joining rule for a flight that may have read the source: a
// caller that missed sends PEEK itself (or shares one that was sent after the
// caller arrived), and reads the region's generation. Only if both are what the
// flight has may it wait for the flight: then nothing was invalidated between
// the flight's beginning and the caller's arrival. It may then take what the
// flight brings, whatever becomes of the fill.
//
// A flight that has not begun to read when the caller arrives may be joined
// without asking.
//
// If the load does not know yet that it depends on the region (NamesLate), there
// are no generations to compare: the token alone decides, and the flight's end
// decides about those who joined so.
func MayJoin(f Flight, token, current ID) bool {
	return f.Token == token && f.Stamp == current
}

// NextGeneration returns what a region's generation becomes when the region is
// expired, or when it was lost: one that never was before. So a lost generation
// means that everything older is gone.
func NextGeneration(_, fresh ID) ID { return fresh }

// Unexpired reports whether the region has not expired since a load's Moment, at
// which it had the generation since.
func Unexpired(since, current ID) bool { return since == current }

// Captured is the stamp of what is stored: the generation read before the load
// or the transaction began, not the current one.
func Captured(captured, _ ID) ID { return captured }
