// Package sizeof estimates how much memory a Go value keeps alive. It is a leaf
// and not exact: it is for weighing cache entries, not for accounting.
package sizeof

import (
	"reflect"
	"strings"
	"time"
)

// maxVisits bounds how many values Of looks at. What is left of a slice or a
// map then is taken to be like its part that was seen.
const maxVisits = 1000

// Of estimates the memory that v keeps alive, in bytes: what strings, slices,
// maps, pointers and interfaces in it point to, each pointer once. It looks at
// no more than about 1,000 values and extrapolates from them.
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
	w := walker{left: maxVisits, seen: make(map[visit]bool)}
	return int64(r.Type().Size()) + w.beyond(r)
}

// location is shared by all times, and large.
var location = reflect.TypeFor[*time.Location]()

type walker struct {
	left int
	seen map[visit]bool
}

// visit tells a pointer to a struct from one to its first field.
type visit struct {
	ptr uintptr
	typ reflect.Type
}

// beyond returns the size of what v points to, v itself not included.
func (w *walker) beyond(v reflect.Value) int64 {
	if w.left <= 0 {
		return 0
	}
	w.left--
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Pointer:
		if v.IsNil() || v.Type() == location || !w.first(v) {
			return 0
		}
		return int64(v.Type().Elem().Size()) + w.beyond(v.Elem())
	case reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int64(v.Elem().Type().Size()) + w.beyond(v.Elem())
	case reflect.Slice:
		if v.IsNil() || !w.first(v) {
			return 0
		}
		return int64(v.Cap())*int64(v.Type().Elem().Size()) + w.elements(v)
	case reflect.Array:
		return w.elements(v)
	case reflect.Map:
		if v.IsNil() || !w.first(v) {
			return 0
		}
		return w.pairs(v)
	case reflect.Struct:
		return w.fields(v)
	}
	return 0
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

func (w *walker) elements(v reflect.Value) int64 {
	if flat(v.Type().Elem()) {
		return 0
	}
	var sum int64
	n := v.Len()
	for i := range n {
		if w.left <= 0 {
			return extrapolate(sum, i, n)
		}
		sum += w.beyond(v.Index(i))
	}
	return sum
}

func (w *walker) pairs(v reflect.Value) int64 {
	key, elem := v.Type().Key(), v.Type().Elem()
	n := v.Len()
	// A map keeps a control byte per slot and an eighth or more of them empty.
	own := int64(n) * int64(key.Size()+elem.Size()+1) * 8 / 7
	if flat(key) && flat(elem) {
		return own
	}
	var sum int64
	done := 0
	for it := v.MapRange(); it.Next(); done++ {
		if w.left <= 0 {
			return own + extrapolate(sum, done, n)
		}
		sum += w.beyond(it.Key()) + w.beyond(it.Value())
	}
	return own + sum
}

func (w *walker) fields(v reflect.Value) int64 {
	t := v.Type()
	if changing(t) {
		return 0
	}
	var sum int64
	for i := range t.NumField() {
		if !flat(t.Field(i).Type) {
			sum += w.beyond(v.Field(i))
		}
	}
	return sum
}

func extrapolate(sum int64, seen, all int) int64 {
	if seen == 0 {
		return 0
	}
	return int64(float64(sum) / float64(seen) * float64(all))
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
