package memory

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"weak"

	"github.com/larder-go/larder/cache"
)

// records are what is known of tokens. Whoever changes them holds the lock of the
// regions that they are of. Finding a generation takes no lock.
//
// They are in tables of chains, each of which is copied when it grows. So who
// looks for a token may see a copy that is not changed any more, or a record that
// was taken out, and in it a generation that was the current one. That does no
// harm: see regions.
type records struct {
	seed   maphash.Seed // immutable
	parts  [recordParts]recordPart
	cursor uint64 // the chain that someLocked looks at next
}

// recordParts bounds how much is copied at once.
const recordParts = 64

type recordPart struct {
	table atomic.Pointer[recordTable] // nil: empty
	count int
}

// recordTable has a power of two of chains.
type recordTable struct{ chains []atomic.Pointer[record] }

// record is what is known of a token.
type record struct {
	token   cache.Token // immutable
	next    atomic.Pointer[record]
	current atomic.Pointer[weakGeneration] // nil: none since it was last expired
	expired uint64                         // when it was last expired, or earlier than that was forgotten
}

type weakGeneration struct{ weak.Pointer[generation] }

// locate hashes the strings of t, which takes a third of the time that
// maphash.Comparable takes.
func (r *records) locate(t *cache.Token) (part *recordPart, hash uint64) {
	name, _ := t.Region()
	hash = maphash.String(r.seed, name)
	if key, ok := t.Key(); ok {
		hash = bits.RotateLeft64(hash, 1) ^ maphash.String(r.seed, key)
	}
	return &r.parts[hash%recordParts], hash / recordParts
}

func (t *recordTable) chain(hash uint64) *atomic.Pointer[record] {
	return &t.chains[hash&uint64(len(t.chains)-1)]
}

// find returns the record of t, or nil. It takes no lock.
func (r *records) find(t *cache.Token) *record {
	part, hash := r.locate(t)
	table := part.table.Load()
	if table == nil {
		return nil
	}
	for rec := table.chain(hash).Load(); rec != nil; rec = rec.next.Load() {
		if rec.token == *t {
			return rec
		}
	}
	return nil
}

// generation returns the current generation of rec, or nil if it has none, or
// none that anybody points to. It may have expired, if the lock is not held. rec
// may be nil.
func (rec *record) generation() *generation {
	if rec == nil {
		return nil
	}
	if current := rec.current.Load(); current != nil {
		return current.Value()
	}
	return nil
}

// addLocked makes a record of t, which has none.
func (r *records) addLocked(t cache.Token, expired uint64) *record {
	part, hash := r.locate(&t)
	table := part.table.Load()
	if table == nil || part.count >= len(table.chains) {
		table = r.grown(table)
		part.table.Store(table)
	}
	rec := &record{token: t, expired: expired}
	table.put(hash, rec)
	part.count++
	return rec
}

// put publishes rec, which is complete.
func (t *recordTable) put(hash uint64, rec *record) {
	first := t.chain(hash)
	rec.next.Store(first.Load())
	first.Store(rec)
}

// grown returns a table of twice as many chains as old, which may be nil, with
// copies of its records.
func (r *records) grown(old *recordTable) *recordTable {
	if old == nil {
		return &recordTable{make([]atomic.Pointer[record], 1)}
	}
	table := &recordTable{make([]atomic.Pointer[record], 2*len(old.chains))}
	for i := range old.chains {
		for rec := old.chains[i].Load(); rec != nil; rec = rec.next.Load() {
			moved := &record{token: rec.token, expired: rec.expired}
			moved.current.Store(rec.current.Load())
			_, hash := r.locate(&rec.token)
			table.put(hash, moved)
		}
	}
	return table
}

// someLocked shows forget the records of that many chains, each in its turn, and
// takes out those it says yes to.
func (r *records) someLocked(chains int, forget func(*record) bool) {
	for range chains {
		part, turn := &r.parts[r.cursor%recordParts], r.cursor/recordParts
		r.cursor++
		table := part.table.Load()
		if table == nil {
			continue
		}
		link := table.chain(turn)
		for rec := link.Load(); rec != nil; rec = link.Load() {
			if !forget(rec) {
				link = &rec.next
				continue
			}
			link.Store(rec.next.Load())
			part.count--
		}
	}
}

// countLocked returns how many records there are.
func (r *records) countLocked() (n int) {
	for i := range r.parts {
		n += r.parts[i].count
	}
	return n
}
