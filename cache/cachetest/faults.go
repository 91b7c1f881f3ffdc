package cachetest

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder/cache"
)

// FaultKind is a way in which a call goes wrong.
type FaultKind uint8

const (
	// FailBefore: the call is not made and returns Fault.Err, or
	// cache.ErrUnavailable.
	FailBefore FaultKind = iota + 1
	// FailAfter: the call is made, and its result lost. It returns Fault.Err,
	// or for a write cache.ErrOutcomeUnknown and for a read
	// cache.ErrUnavailable.
	FailAfter
	// LoseWrite: a write is not made and reports success. What has something to
	// return (reads, leases, counters, versions, locks) is made as usual.
	LoseWrite
	// WrongKey: a read of one key brings what is under another one that was
	// used before. If there was none the read is made as usual.
	WrongKey
	// DelayBefore: the call waits for Fault.Delay before it is made. If its
	// context ends first it is not made, and returns the context's error.
	DelayBefore
	// HoldBefore: the call waits at Fault.Gate before it is made, as with
	// DelayBefore.
	HoldBefore
	// HoldAfter: the call is made, and waits at Fault.Gate before it returns,
	// whatever becomes of its context.
	HoldAfter
)

// Fault says which calls go wrong, and how.
type Fault struct {
	// Kind is how. It is required.
	Kind FaultKind

	// Ops names the operations that it befalls, in the form "get", "append_to",
	// "set", "refresh", "remove", "get_many", "set_many", "remove_many",
	// "increment", "count", "get_object", "set_object", "lease", "lease_many",
	// "release", "clear", "get_item", "get_if_newer", "compare_and_set", "add",
	// "remove_version", "get_and_lock", "put_and_unlock", "unlock",
	// "remove_locked", "reset_ttl", "begin_write", "end_write", "set_if_newer",
	// "get_object_item", "compare_and_set_object", "add_object",
	// "set_object_if_newer", "get_object_and_lock", "put_object_and_unlock",
	// "moment", "expire_tokens", "unexpired", "get_under". None: all of them.
	Ops []string

	// Nth is the one call, of each of Ops, that it befalls; 1 is the first
	// since NewFaults. Zero: any.
	Nth int

	// Probability, from 0 to 1, makes chance decide. Zero: every call.
	Probability float64

	Err   error         // of FailBefore and FailAfter
	Delay time.Duration // of DelayBefore
	Gate  *Gate         // of HoldBefore and HoldAfter
}

// Faults is a cache that fails on purpose, for tests of what uses caches.
//
// What befalls a call depends on the seed, the operation and how many calls of
// that operation there were before: the same test meets the same faults.
// Faults on one call add up: waits first, then the first failure of the list.
// Coordinate, TrackRegions, Stats and Close are not touched.
//
// All its methods are safe for concurrent use.
type Faults struct {
	seed uint64 // immutable

	mu       sync.Mutex
	plan     []Fault
	calls    map[string]int
	injected map[FaultKind]int
	recent   [2]string // the last two different keys, the last one first
}

// NewFaults returns a cache that is c with the faults, and their control. The
// cache has what [Prefixed] has: all the capabilities of a cache like memory or
// distributed, and the four methods over any other. It panics if a fault makes
// no sense.
func NewFaults(c cache.Cache, seed uint64, faults ...Fault) (*Faults, cache.Cache) {
	f := &Faults{seed: seed, calls: make(map[string]int), injected: make(map[FaultKind]int)}
	f.Plan(faults...)
	return f, newLayer(c, f)
}

// Plan replaces the faults for calls that start from now on. None: the cache
// works. It panics if a fault makes no sense.
func (f *Faults) Plan(faults ...Fault) {
	for _, fault := range faults {
		fault.check()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = slices.Clone(faults)
}

func (f Fault) check() {
	switch {
	case f.Kind < FailBefore || f.Kind > HoldAfter:
		panic(fmt.Sprintf("cachetest: unknown FaultKind %d", f.Kind))
	case f.Probability < 0 || f.Probability > 1:
		panic(fmt.Sprintf("cachetest: Fault.Probability is %v", f.Probability))
	case f.Gate == nil && (f.Kind == HoldBefore || f.Kind == HoldAfter):
		panic("cachetest: a Fault that holds calls needs a Gate")
	}
	for _, op := range f.Ops {
		if _, ok := faultOps[op]; !ok {
			panic("cachetest: Fault.Ops names no operation: " + op)
		}
	}
}

// Calls returns how many calls of op there were, those that failed included.
func (f *Faults) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// Injected returns how many faults of the kind there were.
func (f *Faults) Injected(kind FaultKind) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected[kind]
}

// opKind says what a fault can do to an operation.
type opKind uint8

const (
	opRead  opKind = iota // brings something
	opWrite               // changes something
	opBoth
)

var faultOps = map[string]opKind{
	"get": opRead, "append_to": opRead, "get_many": opRead, "count": opRead, "get_object": opRead,
	"set": opWrite, "refresh": opWrite, "remove": opWrite, "set_many": opWrite, "remove_many": opWrite,
	"set_object": opWrite, "release": opWrite, "clear": opWrite,
	"increment": opBoth, "lease": opBoth, "lease_many": opBoth,
	"get_item": opRead, "get_if_newer": opRead, "unlock": opWrite, "reset_ttl": opWrite,
	"compare_and_set": opBoth, "add": opBoth, "remove_version": opBoth,
	"moment": opRead, "expire_tokens": opWrite, "unexpired": opRead, "get_under": opRead,
	"get_and_lock": opBoth, "put_and_unlock": opBoth, "remove_locked": opBoth,
	"begin_write": opBoth, "end_write": opWrite,
	"set_if_newer": opWrite, "get_object_item": opRead, "compare_and_set_object": opBoth, "add_object": opBoth,
	"set_object_if_newer": opWrite, "get_object_and_lock": opBoth, "put_object_and_unlock": opBoth,
}

// name implements hook.
func (f *Faults) name(key string) string { return key }

// call implements hook.
func (f *Faults) call(ctx context.Context, op, key string, do func(context.Context, string) error) error {
	faults, other := f.fate(op, key)
	if ctx == nil {
		return do(ctx, key) // the cache below refuses it
	}
	for _, fault := range faults {
		if err := fault.waitBefore(ctx); err != nil {
			return err
		}
	}
	err := fail(ctx, op, key, other, faults, do)
	for _, fault := range faults {
		if fault.Kind == HoldAfter {
			_ = fault.Gate.Pass(context.WithoutCancel(ctx)) // which does not end
		}
	}
	return err
}

// fate counts a call and returns what befalls it, and a key to be confused
// with its own.
func (f *Faults) fate(op, key string) (faults []Fault, other string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	for i, fault := range f.plan {
		if fault.befalls(op, f.calls[op], f.chance(i, op)) {
			faults = append(faults, fault)
			f.injected[fault.Kind]++
		}
	}
	if key != "" && key != f.recent[0] {
		f.recent = [2]string{key, f.recent[0]}
	}
	return faults, f.recent[1]
}

func (f Fault) befalls(op string, n int, chance float64) bool {
	return (len(f.Ops) == 0 || slices.Contains(f.Ops, op)) && (f.Nth == 0 || f.Nth == n) &&
		(f.Probability == 0 || chance < f.Probability)
}

// chance returns a number in [0, 1) for the i-th fault and this call of op.
func (f *Faults) chance(i int, op string) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, i, op, f.calls[op])
	return rand.New(rand.NewPCG(f.seed, h.Sum64())).Float64()
}

func (f Fault) waitBefore(ctx context.Context) error {
	switch f.Kind {
	case HoldBefore:
		return f.Gate.Pass(ctx)
	case DelayBefore:
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// fail makes the call, unless the first fault that is a failure says otherwise.
func fail(ctx context.Context, op, key, other string, faults []Fault, do func(context.Context, string) error) error {
	for _, fault := range faults {
		switch {
		case fault.Kind == FailBefore:
			return orErr(fault.Err, cache.ErrUnavailable)
		case fault.Kind == FailAfter:
			_ = do(ctx, key) // lost: that is the fault
			if faultOps[op] == opRead {
				return orErr(fault.Err, cache.ErrUnavailable)
			}
			return orErr(fault.Err, cache.ErrOutcomeUnknown)
		case fault.Kind == LoseWrite && faultOps[op] == opWrite:
			return nil
		case fault.Kind == WrongKey && faultOps[op] == opRead && key != "" && other != "":
			return do(ctx, other)
		}
	}
	return do(ctx, key)
}

func orErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}
