package protocol

import (
	"fmt"
	"slices"
	"strings"
)

// Result is what a check found.
type Result struct {
	States int // that can be reached, taking those for one that differ only in names
	Steps  int // between them
	Depth  int // steps of the longest shortest way to a state

	// Breaks is the property that is broken, and Trace a shortest way to break
	// it. A check ends there.
	Breaks Property
	Trace  []Line

	seen [ops][outcomes]int // steps by kind
}

// Seen returns how many steps op with that outcome there were.
func (r *Result) Seen(op Op, outcome Outcome) int { return r.seen[op][outcome] }

// String says how much was checked, and if a property is broken, how.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d states, %d steps between them, at most %d deep: %v", r.States, r.Steps, r.Depth, r.Breaks)
	for i, l := range r.Trace {
		fmt.Fprintf(&b, "\n%2d. %v", i+1, l)
	}
	return b.String()
}

// found is a state that was found, with one from which it is one step.
type found struct {
	code code
	from int32 // -1 if the check began with it
}

// table is the states found so far, in the order in which they were, which is
// by distance. It looks them up by open addressing.
type table struct {
	all   []found
	slots []int32 // index into all, plus 1; a power of two of them
}

// add adds a state unless it is there, and reports whether it did.
func (t *table) add(c code, from int32) bool {
	if 2*len(t.all) >= len(t.slots) {
		t.grow()
	}
	slot := t.slot(c)
	if t.slots[slot] != 0 {
		return false
	}
	t.all = append(t.all, found{c, from})
	t.slots[slot] = int32(len(t.all))
	return true
}

// slot returns where c is, or belongs.
func (t *table) slot(c code) int {
	mask := len(t.slots) - 1
	h := (c[0]*0x9e3779b97f4a7c15 ^ c[1]) * 0xbf58476d1ce4e5b9
	h ^= h >> 29
	for i := int(h) & mask; ; i = (i + 1) & mask {
		if n := t.slots[i]; n == 0 || t.all[n-1].code == c {
			return i
		}
	}
}

func (t *table) grow() {
	t.slots = make([]int32, max(1<<12, 4*len(t.slots)))
	for i := range t.all {
		t.slots[t.slot(t.all[i].code)] = int32(i + 1)
	}
}

// Check follows p through every interleaving of what the actors of c do. It
// ends at the first state that breaks a property: no way to one is shorter.
//
// It keeps up to 150 bytes per state and finds some 400,000 states per second. It panics if c has more actors or gets than it may.
func Check(p Protocol, c Config) *Result {
	m := newModel(p, c)
	r := &Result{}
	var t table
	var level, next []State
	for _, s := range m.initial() {
		if t.add(m.encode(&s), -1) {
			level = append(level, s)
		}
	}
	for first := 0; len(level) > 0; r.Depth++ {
		end := len(t.all)
		for i := range level {
			from := int32(first + i)
			m.next(level[i], func(s State, step Step) {
				r.Steps++
				r.seen[step.Op][step.Outcome]++
				if r.Breaks != Kept {
					return
				}
				if step.Breaks != Kept {
					r.Breaks = step.Breaks
					r.Trace = m.trace(&t, from, step.Breaks)
				} else if t.add(m.encode(&s), from) {
					next = append(next, s)
				}
			})
			if r.Breaks != Kept {
				r.States = len(t.all)
				return r
			}
		}
		first = end
		level, next = next, level[:0]
	}
	r.States, r.Depth = len(t.all), r.Depth-1
	return r
}

func newModel(p Protocol, c Config) *model {
	if len(c.Readers) > maxReaders || len(c.Writers) > maxWriters || c.Gets > 3 {
		panic("protocol: more actors or gets than a state has room for")
	}
	m := &model{Protocol: p, Config: c}
	m.symmetries = m.Config.symmetries()
	if p.IDsMatter {
		m.symmetries = slices.DeleteFunc(m.symmetries, symmetry.moves)
	}
	return m
}

func (m *model) encode(s *State) code { return s.encode(m.symmetries, m.IDsMatter) }
