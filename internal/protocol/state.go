package protocol

import "math/bits"

const (
	maxReaders = 3
	maxWriters = 3
)

// State is everything at one moment: the key, the region, the source, and how
// far each actor got. It is comparable.
type State struct {
	Key        Key
	Generation ID // of the region; 0 while it is lost

	Source  uint8 // the version that is committed
	Replica uint8 // the version that a replica has
	Acked   uint8 // the newest version whose writer has returned

	Readers [maxReaders]Reader
	Writers [maxWriters]Writer

	minted ID // traces only: the last id made up, so that none is used again
}

// Reader is one caller, which gets the key a number of times. Fields that its
// phase has no use for are 0.
type Reader struct {
	Phase   ReaderPhase
	Left    uint8  // gets not started yet
	Floor   uint8  // what was acked when the get in progress began
	Flight  Flight // the one it leads; before that, what it knows of the key and the region
	Version uint8  // Seen, Checking: of the value; Loaded, Judged: of what it brought
	Leader  int8   // Waiting: the reader that leads the flight
	Fills   bool   // Loading, Loaded, Judged: the lease is its own. Waiting: see late
}

// ReaderPhase is how far a reader's get is.
type ReaderPhase uint8

const (
	Idle     ReaderPhase = iota
	Seen                 // it read the key, but not the region's generation
	Missed               // it read both, and there is nothing it may use
	Told                 // its PEEK was served; it has not acted on the answer
	Asking               // it leads a flight that has not begun to read
	Checking             // its flight found a value, but has not read the generation since
	Loading              // its flight has begun to read the source
	Loaded               // its flight has read the source, and is not over
	Waiting              // it joined a flight
	Judged               // NamesLate: its flight knows whether the region expired, which its waiters do not; then Flight.Stamp is 0
)

// Writer is one write. Fields that its phase has no use for are 0.
type Writer struct {
	Phase   WriterPhase
	Version uint8 // what it committed; 0 before, and after a rollback
	Epoch   ID    // under which it may store its value
	Stamp   ID    // the generation, read before its transaction began
}

// WriterPhase is how far a write is.
type WriterPhase uint8

const (
	NotBegun WriterPhase = iota
	Begun                // it may commit
	Settled              // committed or rolled back; the cache is not told yet
	Returned
	Crashed
)

// alive reports whether the writer will still do something about the cache.
func (w Writer) alive() bool { return w.Phase == Begun || w.Phase == Settled }

// code is a State in 128 bits, the same for states that differ only in what
// actors and ids are called.
type code [2]uint64

// symmetry is a way to rename actors: who takes which place.
type symmetry struct {
	readers [maxReaders]int // by place
	placeOf [maxReaders]int8
	writers [maxWriters]int
}

// moves reports whether anybody changes places.
func (y symmetry) moves() bool {
	return y.readers != [...]int{0, 1, 2} || y.writers != [...]int{0, 1, 2}
}

// symmetries returns the renamings that map c onto itself: readers change
// places if readers of one process remain readers of one process, writers if
// they are of one mode.
func (c *Config) symmetries() []symmetry {
	var all []symmetry
	for _, r := range permutations(maxReaders) {
		if !c.keepsProcesses(r) {
			continue
		}
		for _, w := range permutations(maxWriters) {
			if c.keepsModes(w) {
				y := symmetry{readers: [maxReaders]int(r), writers: [maxWriters]int(w)}
				for place, from := range r {
					y.placeOf[from] = int8(place)
				}
				all = append(all, y)
			}
		}
	}
	return all
}

func (c *Config) keepsProcesses(perm []int) bool {
	for i, p := range perm {
		if i >= len(c.Readers) || p >= len(c.Readers) {
			if i != p {
				return false
			}
			continue
		}
		for j, q := range perm[:i] {
			if (c.Readers[i] == c.Readers[j]) != (c.Readers[p] == c.Readers[q]) {
				return false
			}
		}
	}
	return true
}

func (c *Config) keepsModes(perm []int) bool {
	for i, p := range perm {
		if i != p && (i >= len(c.Writers) || p >= len(c.Writers) || c.Writers[i] != c.Writers[p]) {
			return false
		}
	}
	return true
}

// permutations returns all orders of 0 to n-1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{{}}
	}
	for _, p := range permutations(n - 1) {
		for at := range n {
			q := append(append(append([]int{}, p[:at]...), n-1), p[at:]...)
			all = append(all, q)
		}
	}
	return all
}

// encode returns the least code of s under the symmetries.
func (s *State) encode(symmetries []symmetry, idsMatter bool) code {
	least := code{1<<64 - 1, 1<<64 - 1}
	for i := range symmetries {
		t := s.renamed(&symmetries[i])
		if !idsMatter {
			t.renumber()
		}
		if c := t.pack(); c[0] < least[0] || c[0] == least[0] && c[1] < least[1] {
			least = c
		}
	}
	return least
}

// renamed returns s with its actors at other places.
func (s *State) renamed(y *symmetry) State {
	t := *s
	for i, from := range y.readers {
		t.Readers[i] = s.Readers[from]
	}
	for i := range t.Readers {
		if r := &t.Readers[i]; r.Phase == Waiting {
			r.Leader = y.placeOf[r.Leader]
		}
	}
	t.Key.Writers = 0
	for i, from := range y.writers {
		t.Writers[i] = s.Writers[from]
		t.Key.Writers |= s.Key.Writers >> from & 1 << i
	}
	return t
}

// renumber gives ids numbers in the order in which they appear. Ids are only
// compared, so states that differ in them alone have the same future.
func (s *State) renumber() {
	tokens, generations := s.tokens(), s.generations()
	number(tokens[:])
	number(generations[:])
}

func number(ids []*ID) {
	var names [64]ID
	var last ID
	for _, id := range ids {
		if *id == 0 {
			continue
		}
		if names[*id] == 0 {
			last++
			names[*id] = last
		}
		*id = names[*id]
	}
}

// tokens returns where s has tokens.
func (s *State) tokens() [1 + maxReaders + maxWriters]*ID {
	r, w := &s.Readers, &s.Writers
	return [...]*ID{&s.Key.Token, &r[0].Flight.Token, &r[1].Flight.Token, &r[2].Flight.Token, &w[0].Epoch, &w[1].Epoch, &w[2].Epoch}
}

// generations returns where s has generations.
func (s *State) generations() [2 + maxReaders + maxWriters]*ID {
	r, w := &s.Readers, &s.Writers
	return [...]*ID{&s.Generation, &s.Key.Value.Stamp, &r[0].Flight.Stamp, &r[1].Flight.Stamp, &r[2].Flight.Stamp, &w[0].Stamp, &w[1].Stamp, &w[2].Stamp}
}

// fresh returns an id that is not in ids. Nobody remembers it, so it is as good
// as one that never was.
func (s *State) fresh(ids []*ID) ID {
	if s.minted > 0 {
		s.minted++
		return s.minted
	}
	used := uint64(1) // 0 is no id
	for _, id := range ids {
		used |= 1 << *id
	}
	return ID(bits.TrailingZeros64(^used))
}

func (s *State) freshToken() ID {
	ids := s.tokens()
	return s.fresh(ids[:])
}

func (s *State) freshGeneration() ID {
	ids := s.generations()
	return s.fresh(ids[:])
}

// pack returns s in 64 and 63 bits.
func (s *State) pack() code {
	var a, b uint64
	a = uint64(s.Key.Kind)
	if s.Key.Kind == Filled {
		a = a<<3 | uint64(s.Key.Value.Version)
		a = a<<4 | uint64(s.Key.Value.Stamp)
	} else {
		a = a<<3 | uint64(s.Key.Writers)
		a = a<<4 | uint64(s.Key.Token)
	}
	a = a<<4 | uint64(s.Generation)
	a = a<<3 | uint64(s.Source)
	a = a<<3 | uint64(s.Replica)
	a = a<<3 | uint64(s.Acked)
	for _, w := range s.Writers {
		a = a<<3 | uint64(w.Phase)
		a = a<<3 | uint64(w.Version)
		a = a<<4 | uint64(w.Epoch)
		a = a<<4 | uint64(w.Stamp)
	}
	for _, r := range s.Readers {
		b = b<<4 | uint64(r.Phase)
		b = b<<2 | uint64(r.Left)
		b = b<<3 | uint64(r.Floor)
		b = b<<4 | uint64(r.Flight.Token)
		b = b<<4 | uint64(r.Flight.Stamp)
		b = b<<3 | uint64(r.Version|uint8(r.Leader)) // never both
		b <<= 1
		if r.Fills {
			b |= 1
		}
	}
	return code{a, b}
}
