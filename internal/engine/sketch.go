package engine

// sketch estimates how often a key was seen lately: a count-min sketch with
// counters of 4 bits, which are halved now and then. It is guarded by the lock
// of the policy.
type sketch struct {
	words []uint64 // 16 counters each, for perWord entries or fewer
	mask  uint32
	adds  int
}

const (
	sketchRows  = 4
	sketchMax   = 15
	halveEach   = 0x7777777777777777
	perWord     = 2
	sketchSpan  = 10 * perWord // adds per word, before the counters are halved
	leastSketch = 64           // words
)

// fit makes the sketch large enough for that many entries. A larger one starts
// with what the smaller one knew.
func (k *sketch) fit(entries int) {
	if entries <= perWord*len(k.words) {
		return
	}
	size := leastSketch
	for perWord*size < entries {
		size *= 2
	}
	words := make([]uint64, size)
	for i := 0; len(k.words) > 0 && i < size; i += len(k.words) {
		copy(words[i:], k.words)
	}
	k.words, k.mask = words, uint32(size-1)
}

// counter is where a key is counted in one of the rows.
type counter struct {
	word  *uint64
	shift uint
}

// counter returns a key's counter in a row. Each row has four of a word's counters
// to itself.
func (k *sketch) counter(hash uint32, row int) counter {
	h := (uint64(hash) + 0x9e3779b97f4a7c15) * sketchSeeds[row]
	h ^= h >> 32
	return counter{&k.words[uint32(h)&k.mask], uint(row*4+int(h>>30&3)) * 4}
}

func (c counter) count() uint64 { return *c.word >> (c.shift & 63) & sketchMax }

// raise raises the counter to that count if it is below. It has no branch, for
// nobody could foretell it.
func (c counter) raise(to uint64) {
	count := c.count()
	*c.word += (max(to, count) - count) << (c.shift & 63)
}

var sketchSeeds = [sketchRows]uint64{0xc3a5c85c97cb3127, 0xb492b66fbe98f273, 0x9ae16a3b2f90404f, 0xcbf29ce484222325}

// add counts that a key was seen by more times, which may be 0, and returns the
// estimate after that.
//
// Counters that are above the new estimate stay (a conservative update). They are
// as high because of other keys; to raise them too would say nothing of this one
// and spoil the estimates of those that share them.
func (k *sketch) add(hash uint32, by uint32) uint32 {
	a, b, c, d := k.counter(hash, 0), k.counter(hash, 1), k.counter(hash, 2), k.counter(hash, 3)
	least := min(a.count(), b.count(), c.count(), d.count())
	raised := min(least+uint64(by), sketchMax)
	if raised == least {
		return uint32(least)
	}
	a.raise(raised)
	b.raise(raised)
	c.raise(raised)
	d.raise(raised)
	if k.adds += int(by); k.adds >= sketchSpan*len(k.words) {
		k.halve()
	}
	return uint32(raised)
}

func (k *sketch) halve() {
	for i := range k.words {
		k.words[i] = k.words[i] >> 1 & halveEach
	}
	k.adds /= 2
}

func (k *sketch) estimate(hash uint32) uint32 { return k.add(hash, 0) }
