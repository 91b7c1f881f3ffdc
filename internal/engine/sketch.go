package engine

// sketch estimates how often a key was seen lately: a count-min sketch with
// counters of 4 bits, which are halved now and then. It is guarded by the lock
// of the policy.
type sketch struct {
	words []uint64 // 16 counters each
	mask  uint32
	adds  int
}

const (
	sketchRows  = 4
	sketchMax   = 15
	halveEach   = 0x7777777777777777
	sketchSpan  = 10 // adds per entry, before the counters are halved
	leastSketch = 64
)

// fit makes the sketch large enough for that many entries. A larger one starts
// with what the smaller one knew.
func (k *sketch) fit(entries int) {
	if entries <= len(k.words) {
		return
	}
	size := leastSketch
	for size < entries {
		size *= 2
	}
	words := make([]uint64, size)
	for i := 0; len(k.words) > 0 && i < size; i += len(k.words) {
		copy(words[i:], k.words)
	}
	k.words, k.mask = words, uint32(size-1)
}

// place returns the word and the shift of a key's counter in a row. Each row
// has four of a word's counters to itself.
func (k *sketch) place(hash uint32, row int) (word uint32, shift uint) {
	h := (uint64(hash) + 0x9e3779b97f4a7c15) * sketchSeeds[row]
	h ^= h >> 32
	return uint32(h) & k.mask, uint(row*4+int(h>>30&3)) * 4
}

var sketchSeeds = [sketchRows]uint64{0xc3a5c85c97cb3127, 0xb492b66fbe98f273, 0x9ae16a3b2f90404f, 0xcbf29ce484222325}

func (k *sketch) add(hash uint32, by uint32) {
	if by == 0 {
		return
	}
	added := false
	for row := range sketchRows {
		word, shift := k.place(hash, row)
		count := k.words[word] >> shift & sketchMax
		if count < sketchMax {
			more := min(uint64(by), sketchMax-count)
			k.words[word] += more << shift
			added = true
		}
	}
	if added {
		if k.adds += int(by); k.adds >= sketchSpan*len(k.words) {
			k.halve()
		}
	}
}

func (k *sketch) halve() {
	for i := range k.words {
		k.words[i] = k.words[i] >> 1 & halveEach
	}
	k.adds /= 2
}

func (k *sketch) estimate(hash uint32) uint32 {
	least := uint64(sketchMax)
	for row := range sketchRows {
		word, shift := k.place(hash, row)
		least = min(least, k.words[word]>>shift&sketchMax)
	}
	return uint32(least)
}
