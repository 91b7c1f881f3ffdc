package patterns

import (
	"errors"
	"fmt"
)

// ErrComposition refuses wrappers that would break each other's promises in this
// order.
var ErrComposition = errors.New("larder: repositories that do not go together")

// layer is what a wrapper does, where that matters to the wrappers around it.
type layer uint8

const (
	layerCaching layer = 1 << iota // serves reads from a cache
	layerThrough                   // is acknowledged by the source, and caches
	layerBehind                    // is acknowledged by a queue
	layerSums                      // finds sums that must not be cached while they are written
)

// layered is a wrapper of this package.
type layered interface {
	layers() layer // its own and those of all below
}

func layersOf(inner any) layer {
	if l, ok := inner.(layered); ok {
		return l.layers()
	}
	return 0
}

// checkComposition refuses a wrapper of this kind around inner.
func checkComposition(inner any, kind layer) error {
	below := layersOf(inner)
	switch {
	case inner == nil:
		return refuse("inner", nil, "must not be nil")
	case below&(layerCaching|layerThrough) != 0:
		return fmt.Errorf("%w: what is below caches already, and would be told of nothing; put it around this one's source", ErrComposition)
	case below&layerSums != 0:
		return fmt.Errorf("%w: sums of increments are cached by the write-behind itself, which knows those that may be off", ErrComposition)
	case kind == layerThrough && below&layerBehind != 0:
		return fmt.Errorf("%w: write-through promises that the source has a write when it returns, a write-behind below does not", ErrComposition)
	case kind == layerBehind && below&layerBehind != 0:
		return fmt.Errorf("%w: two queues one after the other", ErrComposition)
	}
	return nil
}

// transactorOf returns inner as a Transactor, or nil if it has no transactions, nor
// what it wraps.
func transactorOf(inner any) Transactor {
	if w, ok := inner.(interface{ transacts() bool }); ok && !w.transacts() {
		return nil
	}
	t, _ := inner.(Transactor)
	return t
}

// applierOf returns inner as an Applier, or nil if it is none: what it wraps must be one,
// too.
func applierOf[K comparable, V any](inner Repository[K, V]) Applier[K, V] {
	if h, ok := inner.(*Hooked[K, V]); ok && applierOf(h.inner) == nil {
		return nil
	}
	a, _ := inner.(Applier[K, V])
	return a
}

func (r *reader[K, V]) layers() layer { return layerCaching | layersOf(r.inner) }
