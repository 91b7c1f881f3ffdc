// Package sizeof estimates how much memory a Go value keeps alive. It is a leaf
// and not exact: it is for weighing cache entries, not for accounting.
package sizeof

import (
	"math"
	"reflect"
	"strings"
	"time"
)

// Of estimates the memory that v keeps alive, in bytes: what strings, slices,
// maps, pointers and interfaces in it point to, each pointer once. It follows
// at most about 1,000 of them: of long slices and large maps it looks at some
// elements and takes the others to be like them; what is linked more deeply
// than that is left out.
//
// Only what cannot change under it is looked at: a struct that contains
// something of packages sync or sync/atomic counts with its own size only, and
// so do channels and functions.
func Of(v any) int64 {
	switch v := v.(type) {
	case nil:
		return 0
	case string:
		return 16 + int64(len(v))
	case []byte:
		return 24 + int64(cap(v))
	}
	r := reflect.ValueOf(v)
	size := int64(r.Type().Size())
	if !flat(r.Type()) {
		w := walker{seen: make(map[visit]bool)}
		size = add(size, w.beyond(r, budget))
	}
	return size
}

// budget is how many pointers Of follows. A value with several parts shares it
// out among them, so that no part uses up what the others need.
const budget = 1000

// location is shared by all times, and large.
var location = reflect.TypeFor[*time.Location]()

type walker struct{ seen map[visit]bool }

// visit tells a pointer to a struct from one to its first field.
type visit struct {
	ptr uintptr
	typ reflect.Type
}

// beyond returns the size of what v points to, v itself not included.
func (w *walker) beyond(v reflect.Value, budget int) int64 {
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer:
		if v.IsNil() || v.Type() == location || !w.first(v) {
			return 0
		}
		return add(int64(v.Type().Elem().Size()), w.follow(v.Elem(), budget-1))
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return add(int64(v.Elem().Type().Size()), w.follow(v.Elem(), budget-1))
	case reflect.Slice:
		if v.IsNil() || !w.first(v) {
			return 0
		}
		return add(times(v.Cap(), int64(v.Type().Elem().Size())), w.elements(v, budget-1))
	case reflect.Array:
		return w.elements(v, budget)
	case reflect.Map:
		if v.IsNil() || !w.first(v) {
			return 0
		}
		return w.pairs(v, budget-1)
	case reflect.Struct:
		return w.fields(v, budget)
	}
	return 0
}

func (w *walker) follow(v reflect.Value, budget int) int64 {
	if budget <= 0 {
		return 0
	}
	return w.beyond(v, budget)
}

// first reports whether this pointer was not followed yet.
func (w *walker) first(v reflect.Value) bool {
	at := visit{v.Pointer(), v.Type()}
	if w.seen[at] {
		return false
	}
	w.seen[at] = true
	return true
}

func (w *walker) elements(v reflect.Value, budget int) int64 {
	n := v.Len()
	if n == 0 || flat(v.Type().Elem()) {
		return 0
	}
	look, each := shares(n, budget)
	var sum int64
	for i := range look {
		sum = add(sum, w.follow(v.Index(i*(n/look)), each))
	}
	return extrapolate(sum, look, n)
}

func (w *walker) pairs(v reflect.Value, budget int) int64 {
	key, elem := v.Type().Key(), v.Type().Elem()
	n := v.Len()
	// A map keeps a control byte per slot, and one slot in eight or more empty.
	own := times(n, int64(key.Size()+elem.Size()+1)*8/7)
	if n == 0 || flat(key) && flat(elem) {
		return own
	}
	look, each := shares(n, budget)
	var sum int64
	done := 0
	for it := v.MapRange(); done < look && it.Next(); done++ {
		sum = add(sum, add(w.follow(it.Key(), each), w.follow(it.Value(), each)))
	}
	return add(own, extrapolate(sum, done, n))
}

func (w *walker) fields(v reflect.Value, budget int) int64 {
	t := v.Type()
	if changing(t) {
		return 0
	}
	pointing := 0
	for i := range t.NumField() {
		if !flat(t.Field(i).Type) {
			pointing++
		}
	}
	var sum int64
	for i := range t.NumField() {
		if !flat(t.Field(i).Type) {
			sum = add(sum, w.beyond(v.Field(i), budget/pointing))
		}
	}
	return sum
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

// flat reports whether values of t point to nothing that counts.
func flat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return false
	case reflect.Array:
		return flat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !flat(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}

// changing reports whether a struct has a part that guards or makes changes.
func changing(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i).Type
		if f.Kind() == reflect.Pointer {
			f = f.Elem()
		}
		if p := f.PkgPath(); p == "sync" || strings.HasPrefix(p, "sync/") {
			return true
		}
	}
	return false
}
