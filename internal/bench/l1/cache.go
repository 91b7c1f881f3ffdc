package l1

import (
	"errors"
	"fmt"
)

// Kind is what a call does.
type Kind uint8

const (
	// Lookup reads, and a miss is a miss.
	Lookup Kind = iota
	// Loading reads, and a miss would run a loader.
	Loading
	// Store replaces an entry.
	Store
)

// Loop calls a cache n times in the order of w, beginning at step from, and
// returns how many calls did not do what they should.
type Loop func(w *Workload, from, n int) (failed int)

// Call is one way to use a cache.
type Call struct {
	Name string // as in "otter GetIfPresent"
	Kind Kind
	Loop Loop
}

// Cache is one filled cache and the calls that are measured on it.
type Cache struct {
	Calls []Call
	Close func()
}

// Reference is the call that others are compared with.
const Reference = "otter GetIfPresent"

// Open fills one cache of each kind from s. The caller closes them.
func Open[V any](s *Source[V]) ([]*Cache, error) {
	var caches []*Cache
	var errs []error
	for _, open := range []func(*Source[V]) (*Cache, error){
		openObjects[V], openTyped[V], openByID[V], openOtter[V], openTheine[V], openTheineLoading[V],
		openRistretto[V], openSturdyc[V], openTTLCache[V], openTTLCacheLoading[V], openLRU[V],
	} {
		c, err := open(s)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		caches = append(caches, c)
	}
	if err := errors.Join(append(errs, check(s, caches))...); err != nil {
		CloseAll(caches)
		return nil, err
	}
	return caches, nil
}

// check reports the calls that do not hit every key.
func check[V any](s *Source[V], caches []*Cache) error {
	all := &Workload{Keys: make([]string, steps), IDs: make([]int64, steps)}
	var errs []error
	for from := 0; from < len(s.Keys); from += steps {
		for i := range steps {
			id := min(from+i, len(s.Keys)-1)
			all.Keys[i], all.IDs[i] = s.Keys[id], int64(id)
		}
		for _, call := range Calls(caches) {
			if call.Kind == Store {
				continue
			}
			if failed := call.Loop(all, 0, steps); failed > 0 {
				errs = append(errs, fmt.Errorf("l1: %s: %d of %d keys were not there", call.Name, failed, steps))
			}
		}
	}
	return errors.Join(errs...)
}

// Calls returns the calls of all caches.
func Calls(caches []*Cache) []Call {
	var calls []Call
	for _, c := range caches {
		calls = append(calls, c.Calls...)
	}
	return calls
}

// CloseAll closes the caches.
func CloseAll(caches []*Cache) {
	for _, c := range caches {
		c.Close()
	}
}
