// Package sizeof estimates how much memory a Go value keeps alive. It is a leaf
// and not exact: it is for weighing cache entries, not for accounting.
package sizeof

import (
	"math"
	"reflect"
	"sync"
)

// Sizer estimates the sizes of values. It remembers what it found out about
// their types, up to a bound, so that a value of a known type takes tens of
// nanoseconds. The zero value is ready; a Sizer is safe for concurrent use and
// must not be copied.
type Sizer struct {
	plans sync.Map // reflect.Type to *plan

	mu   sync.Mutex
	kept int // how many plans there are, with those that they lead to
}

// maxPlans bounds what a Sizer remembers to about a megabyte. One type that
// leads to more than that is remembered alone.
const maxPlans = 4096

// Of estimates the memory that v keeps alive, in bytes: what strings, slices,
// maps, pointers and interfaces in it point to, each pointer once. It follows
// at most about 1,000 of them: of long slices and large maps it looks at some
// elements and takes the others to be like them; what is linked more deeply
// than that is left out.
//
// Only what cannot change under it is looked at: a struct that contains
// something of packages sync or sync/atomic counts with its own size only, and
// so do channels and functions.
//
// It allocates nothing if the type is known, at most 8 pointers are followed
// and none of them is a map with strings or pointers in it.
func (s *Sizer) Of(v any) int64 {
	switch v := v.(type) {
	case nil:
		return 0
	case string:
		return 16 + int64(len(v))
	case []byte:
		return 24 + int64(cap(v))
	}
	r := reflect.ValueOf(v)
	p := s.plan(r.Type())
	if p.still {
		return p.size
	}
	w := walker{sizer: s}
	return add(p.size, w.beyond(p, r, budget))
}

// plan returns the plan of t, and makes it if need be.
func (s *Sizer) plan(t reflect.Type) *plan {
	if p, ok := s.plans.Load(t); ok {
		return p.(*plan)
	}
	made := plans{}
	p := made.plan(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := s.plans.Load(t); ok { // another call was faster
		return p.(*plan)
	}
	if s.kept+len(made) > maxPlans {
		// Start anew: what is in use comes back.
		s.plans.Clear()
		s.kept = 0
	}
	s.plans.Store(t, p)
	s.kept += len(made)
	return p
}

// budget is how many pointers Of follows. A value with several parts shares it
// out among them, so that no part uses up what the others need.
const budget = 1000

// walker follows the pointers of one value.
type walker struct {
	sizer *Sizer
	seen  visits
}

// beyond returns the size of what v points to, v itself not included.
func (w *walker) beyond(p *plan, v reflect.Value, budget int) int64 {
	if p.still {
		return 0
	}
	switch p.kind {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer:
		if v.IsNil() || !w.first(p, v) {
			return 0
		}
		return add(p.elem.size, w.follow(p.elem, v.Elem(), budget-1))
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		v = v.Elem()
		p = w.sizer.plan(v.Type())
		return add(p.size, w.follow(p, v, budget-1))
	case reflect.Slice:
		if v.IsNil() || !w.first(p, v) {
			return 0
		}
		return add(times(v.Cap(), p.elem.size), w.elements(p.elem, v, budget-1))
	case reflect.Array:
		return w.elements(p.elem, v, budget)
	case reflect.Map:
		if v.IsNil() || !w.first(p, v) {
			return 0
		}
		return w.pairs(p, v, budget-1)
	case reflect.Struct:
		return w.fields(p, v, budget)
	}
	return 0
}

func (w *walker) follow(p *plan, v reflect.Value, budget int) int64 {
	if p.still || budget <= 0 {
		return 0
	}
	return w.beyond(p, v, budget)
}

// first reports whether this pointer was not followed yet.
func (w *walker) first(p *plan, v reflect.Value) bool {
	return w.seen.add(visit{v.Pointer(), p.typ})
}

func (w *walker) elements(elem *plan, v reflect.Value, budget int) int64 {
	n := v.Len()
	if n == 0 || elem.still {
		return 0
	}
	look, each := shares(n, budget)
	var sum int64
	for i := range look {
		sum = add(sum, w.follow(elem, v.Index(i*(n/look)), each))
	}
	return extrapolate(sum, look, n)
}

func (w *walker) pairs(p *plan, v reflect.Value, budget int) int64 {
	n := v.Len()
	// A map keeps a control byte per slot, and one slot in eight or more empty.
	own := times(n, (p.key.size+p.elem.size+1)*8/7)
	if n == 0 || p.key.still && p.elem.still {
		return own
	}
	look, each := shares(n, budget)
	var sum int64
	done := 0
	for it := v.MapRange(); done < look && it.Next(); done++ {
		if !p.key.still {
			sum = add(sum, w.follow(p.key, it.Key(), each))
		}
		if !p.elem.still {
			sum = add(sum, w.follow(p.elem, it.Value(), each))
		}
	}
	return add(own, extrapolate(sum, done, n))
}

func (w *walker) fields(p *plan, v reflect.Value, budget int) int64 {
	var sum int64
	for _, f := range p.parts {
		sum = add(sum, w.beyond(f.plan, v.Field(f.index), budget/p.pointing))
	}
	return sum
}

// visit tells a pointer to a struct from one to its first field.
type visit struct {
	ptr uintptr
	typ reflect.Type
}

// visits is a set. The first few are in an array: most values have no more, and
// hashing takes longer than comparing them.
type visits struct {
	few  [8]visit
	n    int // how many of few are in use
	more map[visit]struct{}
}

// add reports whether at was not in the set yet.
func (s *visits) add(at visit) bool {
	for i := range s.n {
		if s.few[i].ptr == at.ptr && s.few[i].typ == at.typ {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = at
		s.n++
		return true
	}
	if _, ok := s.more[at]; ok {
		return false
	}
	if s.more == nil {
		s.more = make(map[visit]struct{})
	}
	s.more[at] = struct{}{}
	return true
}

// shares returns how many of n elements to look at, and the budget for each.
func shares(n, budget int) (look, each int) {
	if budget <= 0 {
		return 0, 0
	}
	look = min(n, int(math.Sqrt(float64(budget))))
	return look, budget / look
}

func extrapolate(sum int64, seen, all int) int64 {
	if seen == 0 || seen == all {
		return sum
	}
	return times(all, sum/int64(seen))
}

// add and times stay at the largest number instead of leaving int64.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(n int, size int64) int64 {
	if size > 0 && int64(n) > math.MaxInt64/size {
		return math.MaxInt64
	}
	return int64(n) * size
}
