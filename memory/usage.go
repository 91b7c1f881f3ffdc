package memory

import (
	"math/rand/v2"
	"strings"
	"sync"
)

// EachUsage calls yield for the live entries, in no order, until it returns
// false: with the entry's key, its weight in bytes, and how often it was read,
// about; 0 without Options.RankReads. It counts as no use of them, holds no lock
// while it calls yield, and may miss entries that are stored or removed meanwhile.
func (c *Cache) EachUsage(yield func(key string, weight int64, hits uint64) bool) {
	now := c.now()
	c.engine.Entries(func(n *node) bool {
		if n.Value.lapsed() || expired(n, now) {
			return true
		}
		return yield(n.Key(), n.Weight(), c.ranks.of(n.Key()))
	})
}

// ranks counts the reads of the keys that are read most, by samples. A nil one
// counts none.
type ranks struct {
	mu    sync.Mutex
	reads map[string]uint64
}

const (
	sampleEvery = 16   // reads, on average
	maxRanked   = 4096 // keys
)

// note counts a read of key, by chance. It does not keep key.
func (r *ranks) note(key string) {
	if r == nil || rand.Uint32()%sampleEvery != 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n, ok := r.reads[key]; ok {
		r.reads[key] = n + sampleEvery
		return
	}
	for len(r.reads) >= maxRanked {
		r.forgetLocked()
	}
	r.reads[strings.Clone(key)] = sampleEvery
}

// forgetLocked halves all counts, and forgets the keys that are read least.
func (r *ranks) forgetLocked() {
	for key, n := range r.reads {
		if n /= 2; n < sampleEvery {
			delete(r.reads, key)
		} else {
			r.reads[key] = n
		}
	}
}

func (r *ranks) of(key string) uint64 {
	if r == nil {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reads[key]
}
