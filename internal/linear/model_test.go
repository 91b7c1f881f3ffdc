package linear

import (
	"github.com/anishathalye/porcupine"

	"github.com/larder-go/larder/cache"
)

// op is what a client called.
type op uint8

const (
	opGet op = iota
	opSet
	opRemove
	opGetItem
	opCompareAndSet
	opAdd
	opRemoveVersion
	opGetAndLock
	opForceLock
	opPutAndUnlock
	opUnlock
	opRemoveLocked
	// opForget is no call: the backend gives back a lock whose grant it never
	// heard of, at some time after the call that asked for it, or never.
	opForget
	ops = int(opForget)
)

var opNames = [...]string{
	"Get", "Set", "Remove", "GetItem", "CompareAndSet", "Add", "RemoveVersion",
	"GetAndLock", "GetAndLock by force", "PutAndUnlock", "Unlock", "RemoveLocked", "(forget the lock)",
}

// input is a call. Its handle is that of an unlocking call, or what an asked-for
// lock is called if nobody ever learns its handle.
type input struct {
	op      op
	key     string
	value   string
	version cache.Version
	handle  cache.LockHandle
}

// outcome is how a call ended.
type outcome uint8

const (
	done    outcome = iota
	refused         // the answer is err, and nothing was changed
	undone          // ErrUnavailable: nothing was changed, and nothing learned
	unknown         // ErrOutcomeUnknown
)

// output is a call's answer.
type output struct {
	outcome outcome
	err     error // one of the sentinels, if refused
	yes     bool  // found, or removed
	value   string
	version cache.Version
	handle  cache.LockHandle
	locked  bool
}

// state is what a key holds. A version that no call has told yet is zero: the
// first that tells it is believed.
type state struct {
	present bool
	value   string
	version cache.Version
	locked  bool // present or not
	handle  cache.LockHandle
}

func holding(value string, version cache.Version) state {
	return state{present: true, value: value, version: version}
}

func (s state) unlocked() state {
	s.locked, s.handle = false, cache.LockHandle{}
	return s
}

func (s state) lockedBy(h cache.LockHandle) state {
	s.locked, s.handle = true, h
	return s
}

// known returns s with its version, if it may be v.
func (s state) known(v cache.Version) (state, bool) {
	if !s.present || s.version != (cache.Version{}) && s.version != v {
		return s, false
	}
	s.version = v
	return s, true
}

// lostTo is the state after a call that replaces everything.
func lostTo(in input, v cache.Version) state {
	if in.op == opRemove {
		return state{}
	}
	return holding(in.value, v)
}

// step returns the states that in, answered by out, may lead to from s.
func step(s state, in input, out output) []state {
	switch out.outcome {
	case undone:
		return []state{s}
	case unknown:
		return append(effects(s, in, out), s)
	case refused:
		return refusals(s, in, out)
	case done:
	}
	switch in.op {
	case opGet, opGetItem:
		return reads(s, in, out)
	case opRemoveVersion:
		if !out.yes {
			return only(s, !s.present || s.version != in.version)
		}
	case opRemoveLocked:
		if !out.yes { // a hold that ends removes nothing
			return append(only(s, !s.locked || s.handle != in.handle), only(state{}, !s.present && s.locked && s.handle == in.handle)...)
		}
		return only(state{}, s.present && s.locked && s.handle == in.handle)
	case opGetAndLock, opForceLock:
		return locks(s, in, out)
	}
	return effects(s, in, out)
}

func only(s state, may bool) []state {
	if may {
		return []state{s}
	}
	return nil
}

func reads(s state, in input, out output) []state {
	if !out.yes {
		return only(s, !s.present)
	}
	if in.op == opGet {
		return only(s, s.present && s.value == out.value)
	}
	next, may := s.known(out.version)
	return only(next, may && s.value == out.value && s.locked == out.locked)
}

func locks(s state, in input, out output) []state {
	if s.locked {
		return nil
	}
	if !s.present {
		return only(s.lockedBy(out.handle), in.op == opForceLock && !out.yes)
	}
	next, may := s.known(out.version)
	return only(next.lockedBy(out.handle), may && out.yes && s.value == out.value)
}

// effects returns what a call changes if it is carried out, or nothing if it
// cannot be.
func effects(s state, in input, out output) []state {
	held := s.locked && s.handle == in.handle
	switch in.op {
	case opSet, opRemove:
		return []state{lostTo(in, out.version)}
	case opCompareAndSet:
		_, may := s.known(in.version)
		return only(holding(in.value, out.version), may)
	case opAdd:
		return only(holding(in.value, out.version), !s.present)
	case opRemoveVersion:
		_, may := s.known(in.version)
		return only(state{}, may)
	case opGetAndLock:
		return only(s.lockedBy(in.handle), s.present && !s.locked)
	case opForceLock:
		return only(s.lockedBy(in.handle), !s.locked)
	case opPutAndUnlock:
		return only(holding(in.value, out.version), held)
	case opUnlock, opForget:
		return only(s.unlocked(), held)
	case opRemoveLocked:
		return only(state{}, held)
	}
	return nil // reads change nothing
}

// refusals returns s if the call had to be refused in it as it was.
func refusals(s state, in input, out output) []state {
	switch out.err {
	case cache.ErrVersionMismatch:
		next, may := s.known(out.version)
		return only(next, may && out.version != in.version)
	case cache.ErrNoEntry:
		return only(s, !s.present && (in.op == opCompareAndSet || !s.locked))
	case cache.ErrExists:
		return only(s, s.present)
	case cache.ErrLocked:
		return only(s, s.locked)
	case cache.ErrNotLocked:
		return only(s, s.present && !s.locked)
	case cache.ErrInvalidHandle:
		return only(s, s.locked && s.handle != in.handle)
	}
	return nil
}

// model is the sequential specification of one key.
func model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: byKey,
		Init:      func() []any { return []any{state{}} },
		Step: func(s, in, out any) []any {
			var next []any
			for _, n := range step(s.(state), in.(input), out.(output)) {
				next = append(next, n)
			}
			return next
		},
		Hash: func(s any) uint64 {
			v := s.(state)
			h := uint64(len(v.value)) + 31*uint64(v.version[15]) + 37*uint64(v.version[7]) + 41*uint64(v.handle[0])
			for i := range len(v.value) {
				h = h*131 + uint64(v.value[i])
			}
			return h
		},
	}
	return m.ToModel()
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	keys := make(map[string]int)
	var parts [][]porcupine.Operation
	for _, o := range history {
		key := o.Input.(input).key
		i, ok := keys[key]
		if !ok {
			i = len(parts)
			keys[key] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], o)
	}
	return parts
}
