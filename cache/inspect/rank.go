package inspect

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"sync"
	"time"
)

// Ranker is the capability of a cache that can tell how its entries are used. It
// is found by cache.As and has no types but Go's own, so that a backend offers it
// without importing this package.
type Ranker interface {
	// EachUsage calls yield for the live entries, in no order, until it returns
	// false: with the entry's key, its weight in bytes, and how often it was
	// read, as far as the cache keeps count of that; 0 if it does not. It counts
	// as no use of them, holds no lock while it calls yield, and may miss entries
	// that are stored or removed meanwhile.
	EachUsage(yield func(key string, weight int64, hits uint64) bool)
}

// usage is one line of the lists of keys. Key is as the page may show it.
type usage struct {
	Key    string `json:"key"`
	Weight int64  `json:"weight"`
	Hits   uint64 `json:"hits"`
}

// top is the lists of keys of one cache.
type top struct {
	Largest []usage   `json:"largest"`
	Read    []usage   `json:"read"` // most read first; none if the cache does not count
	Visited int       `json:"visited"`
	Cut     bool      `json:"cut"` // whether entries were left out, because there are too many
	At      time.Time `json:"at"`
}

// ranking makes the lists of one cache, for all who look at the page in one
// interval.
type ranking struct {
	ranker Ranker

	mu     sync.Mutex // held while the entries are visited: others wait for the result
	latest top
}

// maxRanking is how long the entries of a cache may be visited.
const maxRanking = time.Second

// list returns the lists, no older than maxAge. The keys are as they are.
func (r *ranking) list(n int, maxAge time.Duration) top {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.latest.At.IsZero() && time.Since(r.latest.At) < maxAge {
		return r.latest
	}
	largest := leaders{n: n, order: func(a, b usage) int {
		return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(b.Hits, a.Hits), cmp.Compare(a.Key, b.Key))
	}}
	read := leaders{n: n, order: func(a, b usage) int {
		return cmp.Or(cmp.Compare(b.Hits, a.Hits), cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.Key, b.Key))
	}}
	t := top{At: time.Now()}
	r.ranker.EachUsage(func(key string, weight int64, hits uint64) bool {
		u := usage{key, weight, hits}
		largest.add(u)
		if hits > 0 {
			read.add(u)
		}
		t.Visited++
		t.Cut = t.Visited%1024 == 0 && time.Since(t.At) > maxRanking
		return !t.Cut
	})
	t.Largest, t.Read = largest.list(), read.list()
	r.latest = t
	return t
}

// leaders keeps the first n in order, by sorting whenever twice as many have come.
type leaders struct {
	n     int
	order func(a, b usage) int
	held  []usage
	last  usage // of the n that were found so far, if full
	full  bool
}

func (l *leaders) add(u usage) {
	if l.full && l.order(u, l.last) >= 0 {
		return
	}
	l.held = append(l.held, u)
	if len(l.held) >= 2*l.n {
		l.cut()
	}
}

func (l *leaders) cut() {
	slices.SortFunc(l.held, l.order)
	if len(l.held) >= l.n {
		l.held = l.held[:l.n]
		l.last, l.full = l.held[l.n-1], true
	}
}

func (l *leaders) list() []usage {
	l.cut()
	return l.held
}

// shown returns key as the page may show it: itself, or a hash that nobody can
// compute who does not have this process's secret, so that a guess at a key
// cannot be checked.
func (i *Inspector) shown(key string) string {
	if i.opts.ShowKeys || key == "" {
		return key
	}
	mac := hmac.New(sha256.New, i.secret[:])
	mac.Write([]byte(key))
	return "#" + hex.EncodeToString(mac.Sum(nil)[:6])
}

// shownAll returns a copy of list with the keys as the page may show them.
func (i *Inspector) shownAll(list []usage) []usage {
	shown := slices.Clone(list)
	for n := range shown {
		shown[n].Key = i.shown(shown[n].Key)
	}
	return shown
}
