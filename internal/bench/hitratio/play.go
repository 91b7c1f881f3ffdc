package hitratio

import "math"

// Cache is what a trace is played against: access reports whether key was
// there, and stores it if not.
type Cache interface {
	access(key uint32) bool
	close()
}

// Contender is a kind of cache.
type Contender struct {
	Name string
	Open func(size int) Cache
}

// Play returns the part of the requests that hit.
func Play(t Trace, size int, c Contender) float64 {
	cache := c.Open(size)
	defer cache.close()
	hits := 0
	for _, k := range t.Keys {
		if cache.access(k) {
			hits++
		}
	}
	return float64(hits) / float64(len(t.Keys))
}

// Best returns the part that hits if the future is known: of all there and the
// one that comes, who is needed last is left out (Belady, with bypass).
func Best(t Trace, size int) float64 {
	next := make([]int, len(t.Keys))
	seen := make(map[uint32]int)
	for i := len(t.Keys) - 1; i >= 0; i-- {
		next[i] = math.MaxInt
		if at, ok := seen[t.Keys[i]]; ok {
			next[i] = at
		}
		seen[t.Keys[i]] = i
	}
	held := make(map[uint32]int, size+1) // when each is needed next
	var latest queue
	hits := 0
	for i, k := range t.Keys {
		if _, ok := held[k]; ok {
			hits++
		}
		held[k] = next[i]
		latest.push(use{k, next[i]})
		for len(held) > size {
			if u := latest.pop(); held[u.key] == u.at {
				delete(held, u.key)
			}
		}
	}
	return float64(hits) / float64(len(t.Keys))
}

func powered(rank int, s float64) float64 { return math.Pow(float64(rank), -s) }

// use is when a key is used next.
type use struct {
	key uint32
	at  int
}

// queue is a heap with the latest use on top.
type queue []use

func (q *queue) push(u use) {
	h := append(*q, u)
	for i := len(h) - 1; i > 0 && h[(i-1)/2].at < h[i].at; i = (i - 1) / 2 {
		h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
	}
	*q = h
}

func (q *queue) pop() use {
	h := *q
	top, last := h[0], len(h)-1
	h[0], h = h[last], h[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].at > h[child].at {
			child++
		}
		if h[child].at <= h[i].at {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	*q = h
	return top
}
