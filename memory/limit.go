package memory

import (
	"fmt"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/larder-go/larder/cache"
)

// limits turns the two limits into the one that the engine knows: a capacity,
// and what each entry is charged of it, which must fit 31 bits.
//
// With both limits an entry is charged its part of the bytes, rounded up, but
// at least one part in MaxEntries. Since the capacity is a multiple of
// MaxEntries, that many entries fit exactly, and no more; and the charges are
// never less than what the bytes are worth.
type limits struct {
	bytes    int64 // 0: none
	floor    int64 // the least charge
	capacity int64
}

func newLimits(maxEntries int, maxBytes int64) *limits {
	const fine = 1 << 30 // a capacity as fine as charges can be
	n := int64(maxEntries)
	if n == 0 && maxBytes == 0 {
		maxBytes = DefaultMaxBytes
	}
	switch {
	case maxBytes == 0:
		return &limits{floor: 1, capacity: n}
	case n == 0 || n >= fine: // nobody has the memory for that many
		if maxBytes > math.MaxInt32 {
			return &limits{bytes: maxBytes, floor: 1, capacity: fine}
		}
		return &limits{bytes: maxBytes, floor: 1, capacity: maxBytes}
	case maxBytes <= math.MaxInt32/n: // no rounding at all
		return &limits{bytes: maxBytes, floor: maxBytes, capacity: maxBytes * n}
	default:
		return &limits{bytes: maxBytes, floor: fine / n, capacity: fine / n * n}
	}
}

// fits reports whether an entry of this weight can be held at all.
func (l *limits) fits(weight int64) bool { return l.bytes == 0 || weight <= l.bytes }

// charge returns what an entry of this weight takes of the capacity.
func (l *limits) charge(weight int64) int64 {
	if l.bytes == 0 {
		return 1
	}
	hi, lo := bits.Mul64(uint64(min(weight, l.bytes)), uint64(l.capacity))
	charge, rest := bits.Div64(hi, lo, uint64(l.bytes))
	if rest > 0 {
		charge++
	}
	return max(int64(charge), l.floor)
}

// counterSize is the weight of a counter's number.
const counterSize = 8

var errPinnedFull = fmt.Errorf("%w: pinned entries leave no room for it", cache.ErrValueTooLarge)

// entryWeight returns what an entry weighs whose value weighs size.
func entryWeight(key string, size int64) int64 {
	return int64(len(key)) + size + EntryOverhead
}

// objectSize returns the weight of an object without its key.
func (c *Cache) objectSize(key string, value any) int64 {
	if c.weigh != nil {
		if size := c.askWeigh(key, value); size >= 0 {
			return min(size, maxSize)
		}
	}
	return min(c.sizer.Of(value), maxSize)
}

// maxSize keeps sums of sizes from overflowing.
const maxSize = 1 << 48

// askWeigh returns -1 if the caller's function panics.
func (c *Cache) askWeigh(key string, value any) (size int64) {
	size = -1
	defer reportPanic(c.observer, "weigh")
	return c.weigh(key, value)
}

// Resize changes both limits, with the meaning they have in Options. Entries
// are weighed anew and evicted until the rest fits. It takes time in proportion
// to their number, and other calls go on meanwhile.
func (c *Cache) Resize(maxEntries int, maxBytes int64) error {
	if c.closed.Load() {
		return cache.ErrClosed
	}
	if err := (&Options{MaxEntries: maxEntries, MaxBytes: maxBytes}).check(); err != nil {
		return err
	}
	c.resizing.Lock()
	before, l := c.limits.Load(), newLimits(maxEntries, maxBytes)
	// The larger capacity holds until all are weighed anew, or entries in the
	// wrong measure would push others out.
	c.engine.resize(max(before.capacity, l.capacity))
	c.limits.Store(l)
	for e := range c.engine.entries {
		c.engine.rewrite(e, func() { c.charge(e, l.charge(e.weight)) })
	}
	c.engine.resize(l.capacity - c.pinned.held())
	c.resizing.Unlock()
	c.settle()
	return nil
}

// charge changes what e is charged. The lock of its key is held.
func (c *Cache) charge(e *entry, charge int64) {
	before := e.account.setCharge(charge)
	c.counters.used.Add(charge - before)
	if e.pinned {
		c.pinned.adjust(charge - before)
	}
}

// fitEngine leaves the engine the capacity that pinned entries do not take:
// for the engine they weigh nothing, since that is what keeps it from evicting
// them.
func (c *Cache) fitEngine() {
	c.resizing.Lock()
	defer c.resizing.Unlock()
	if c.pinned.changed.Swap(false) {
		c.engine.resize(c.limits.Load().capacity - c.pinned.held())
	}
}

// pins is what pinned entries are charged together.
type pins struct {
	changed atomic.Bool // the engine was not told yet

	mu  sync.Mutex
	sum int64
}

// reserve adds charge if the sum, less what the replaced entry will give back,
// stays within capacity.
func (p *pins) reserve(charge, freed, capacity int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sum-freed+charge > capacity {
		return false
	}
	p.sum += charge
	p.changed.Store(true)
	return true
}

func (p *pins) release(charge int64) { p.adjust(-charge) }

func (p *pins) adjust(by int64) {
	p.mu.Lock()
	p.sum += by
	p.mu.Unlock()
	p.changed.Store(true)
}

func (p *pins) held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sum
}
