package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A call on one key, and what it told. 0 is no value.
type (
	callIn struct {
		op    callOp
		key   string
		value int
	}
	callOut struct{ value int }
	callOp  uint8
)

const (
	opFind     callOp = iota
	opSet             // tells the value that was there, as Compute shows it
	opAdd             // stores only if there was nothing
	opIncrease        // adds one to a value that is there
	opRemove          // tells the value that was there
	ops
)

// register is one key: evictions are removals that the engine makes, so each
// call may find nothing. What it must not find is any value but the last.
var register = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make(map[string][]porcupine.Operation)
		for _, o := range history {
			key := o.Input.(callIn).key
			parts[key] = append(parts[key], o)
		}
		var all [][]porcupine.Operation
		for _, part := range parts {
			all = append(all, part)
		}
		return all
	},
	Init: func() []any { return []any{0} },
	Step: func(state, input, output any) []any {
		in, out, held := input.(callIn), output.(callOut), state.(int)
		if out.value != 0 && out.value != held {
			return nil
		}
		switch next := out.value; in.op {
		case opSet:
			return []any{in.value}
		case opAdd:
			if next == 0 {
				return []any{in.value}
			}
			return []any{next}
		case opIncrease:
			if next == 0 {
				return []any{0}
			}
			return []any{next + 1}
		case opRemove:
			return []any{0}
		default:
			return []any{next}
		}
	},
}

// exactRegister is a key that nobody evicts: a call that finds nothing is right
// only if there is nothing.
func exactRegister() porcupine.Model {
	m := register
	step := m.Step
	m.Step = func(state, input, output any) []any {
		if output.(callOut).value != state.(int) {
			return nil
		}
		return step(state, input, output)
	}
	return m.ToModel()
}

// record has four callers call e at random and returns the history.
func record(e *Engine[int], find func(*Engine[int], string) *Node[int], keys, calls int, seed uint64) []porcupine.Operation {
	var (
		clock   atomic.Int64
		values  atomic.Int64
		mu      sync.Mutex
		history []porcupine.Operation
		callers sync.WaitGroup
	)
	for id := range 4 {
		callers.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(id)))
			for range calls {
				in := callIn{op: callOp(random.IntN(int(ops))), key: fmt.Sprint("k", random.IntN(keys)), value: int(values.Add(1)) * 1000}
				if random.IntN(2) == 0 {
					in.op = opFind
				}
				start := clock.Add(1)
				out := in.do(e, find)
				end := clock.Add(1)
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: id, Input: in, Call: start, Output: out, Return: end})
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	return history
}

func (in callIn) do(e *Engine[int], find func(*Engine[int], string) *Node[int]) (out callOut) {
	if in.op == opFind {
		if n := find(e, in.key); n != nil {
			out.value = n.Value
		}
		return out
	}
	weight := int64(1)
	if in.op == opRemove {
		weight = Nothing
	}
	next := node(in.key, in.value)
	change := func(old *Node[int]) *Node[int] {
		if old != nil {
			out.value = old.Value
		}
		switch {
		case in.op == opSet, in.op == opAdd && old == nil:
			return next
		case in.op == opIncrease && old != nil:
			return node(in.key, old.Value+1)
		case in.op == opRemove:
			return nil
		}
		return old
	}
	var err error
	if in.op == opSet || in.op == opAdd {
		err = e.Put(next, change)
	} else {
		err = e.Compute(in.key, weight, change)
	}
	if err != nil {
		panic(err)
	}
	return out
}

func judge(t *testing.T, m porcupine.Model, history []porcupine.Operation) bool {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(m, history, time.Minute) {
	case porcupine.Illegal:
		return false
	case porcupine.Unknown:
		t.Fatal("the history could not be judged in time")
	}
	return true
}

func TestHistoriesAreLinearizable(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 15
	}
	find := (*Engine[int]).Find
	for round := range rounds {
		seed := uint64(round)
		// All fit, in one shard whose table grows and shrinks meanwhile.
		if !judge(t, exactRegister(), record(New(Options[int]{Limits: Limits{Entries: entriesAShard}}), find, 20, 400, seed)) {
			t.Fatalf("round %d: no order of the calls explains what they told", round)
		}
		evicting := New(Options[int]{Limits: Limits{Entries: 3}})
		if !judge(t, register.ToModel(), record(evicting, find, 8, 400, seed)) {
			t.Fatalf("round %d: no order of the calls and evictions explains what was told", round)
		}
	}
}

// A find that remembers what it saw must be caught, or the test above tells
// nothing.
func TestHistoriesOfAFindThatIsLateAreCaught(t *testing.T) {
	for seed := range uint64(20) {
		var seen sync.Map
		late := func(e *Engine[int], key string) *Node[int] {
			n := e.Find(key)
			if before, ok := seen.Swap(key, n); ok {
				return before.(*Node[int])
			}
			return n
		}
		if !judge(t, exactRegister(), record(New(Options[int]{}), late, 3, 200, seed)) {
			return
		}
	}
	t.Error("got a late find taken for a right one")
}
