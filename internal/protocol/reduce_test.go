//go:build !race

// See protocol_test.go.

package protocol

import (
	"fmt"
	"testing"
)

// plain explores what c can become without taking any two states for one, and
// returns the states and which properties are broken.
func plain(m *model) (states map[State]bool, broken map[Property]bool) {
	states, broken = map[State]bool{}, map[Property]bool{}
	var stack []State
	visit := func(s State, step Step) {
		if step.Breaks != Kept {
			broken[step.Breaks] = true
		} else if !states[s] {
			states[s] = true
			stack = append(stack, s)
		}
	}
	for _, s := range m.initial() {
		visit(s, Step{})
	}
	for len(stack) > 0 {
		s := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		m.next(s, visit)
	}
	return states, broken
}

// To take states for one that differ in names only neither loses states nor
// makes up new ones, and the packed form tells all others apart.
func TestReductionLosesNothing(t *testing.T) {
	for _, c := range []Config{
		{Readers: []int{0, 0}, Gets: 1, Writers: []Mode{Invalidates, Invalidates}},
		{Readers: []int{0, 1}, Gets: 1, Writers: []Mode{Marks, Invalidates}, Crashes: true},
		{Readers: []int{0, 0}, Gets: 1, Writers: []Mode{Marks, Marks}, LosesMarks: true},
		{Readers: []int{0, 0}, Gets: 1, Writers: []Mode{ExpireRegion, ExpireRegion}, Regions: true, LosesGeneration: true},
		{Readers: []int{0, 0}, Gets: 1, Writers: []Mode{ExpireRegion, ExpireRegion}, Regions: true, LosesGeneration: true, NamesLate: true},
		{Readers: []int{0, 0, 1}, Gets: 1, Writers: []Mode{Invalidates}},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			m := newModel(Larder(), c)
			states, broken := plain(m)
			if len(broken) != 0 {
				t.Errorf("got %v broken, want none", broken)
			}
			codes, packed := map[code]bool{}, map[code]State{}
			for s := range states {
				codes[m.encode(&s)] = true
				s.renumber()
				if other, ok := packed[s.pack()]; ok && other != s {
					t.Fatalf("one code for %+v and %+v", s, other)
				}
				packed[s.pack()] = s
			}
			r := Check(Larder(), c)
			t.Logf("%d states, %d with renumbered ids, %d with alike actors taken for one", len(states), len(packed), len(codes))
			if r.States != len(codes) {
				t.Errorf("Check found %d states, want %d", r.States, len(codes))
			}
			if len(c.Readers) > 1 && len(codes) >= len(packed) {
				t.Errorf("got %d states of %d, want fewer", len(codes), len(packed))
			}
		})
	}
}

// The same holds where a property is broken: the reduced search finds what the
// plain one does.
func TestReductionHidesNoFault(t *testing.T) {
	p := Larder()
	p.Fill = func(k Key, _ ID, v Value) Key { return Fill(k, k.Token, v) }
	c := Config{Readers: []int{0, 1}, Gets: 2, Writers: []Mode{Invalidates}}
	for _, only := range []Property{StaleRead, StaleRest} {
		c.Only = only
		_, broken := plain(newModel(p, c))
		if r := Check(p, c); r.Breaks != only || !broken[only] {
			t.Errorf("%v: reduced %v, plain %v; want both to find it", only, r.Breaks, broken)
		}
	}
}

// A state has room for every config that newModel lets through.
func TestTooManyActors(t *testing.T) {
	for _, c := range []Config{
		{Readers: []int{0, 0, 0, 0}, Gets: 1},
		{Readers: []int{0}, Gets: 4},
		{Readers: []int{0}, Gets: 1, Writers: []Mode{Marks, Marks, Marks, Marks}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", c)
				}
			}()
			Check(Larder(), c)
		}()
	}
}
