package sizeof

import (
	"reflect"
	"strings"
	"time"
)

// plan is what there is to know about a type before a value of it is seen. It
// does not change once it is made.
type plan struct {
	typ  reflect.Type
	kind reflect.Kind
	size int64

	// still: nothing beyond a value of this type ever counts, and the fields
	// below are not set.
	still bool

	key      *plan  // of a map
	elem     *plan  // of a pointer, slice, array or map
	parts    []part // of a struct: the fields that are not still
	pointing int    // of a struct: how many fields are not flat
}

// part is a field of a struct.
type part struct {
	index int
	plan  *plan
}

// plans has a plan for each type that one type leads to, itself included. What
// interfaces hold is not among them.
type plans map[reflect.Type]*plan

func (ps plans) plan(t reflect.Type) *plan {
	if p := ps[t]; p != nil {
		return p
	}
	p := &plan{typ: t, kind: t.Kind(), size: int64(t.Size()), still: still(t)}
	ps[t] = p // before what it leads to, which may be t again
	if p.still {
		return p
	}
	switch p.kind {
	case reflect.Map:
		p.key, p.elem = ps.plan(t.Key()), ps.plan(t.Elem())
	case reflect.Pointer, reflect.Slice, reflect.Array:
		p.elem = ps.plan(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i).Type
			if !flat(f) {
				p.pointing++
			}
			if !still(f) {
				p.parts = append(p.parts, part{i, ps.plan(f)})
			}
		}
	}
	return p
}

// location is shared by all times, and large.
var location = reflect.TypeFor[*time.Location]()

// still reports whether values of t point to nothing that is followed.
func still(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Interface, reflect.Slice, reflect.Map:
		return false
	case reflect.Pointer:
		return t == location
	case reflect.Array:
		return still(t.Elem())
	case reflect.Struct:
		if changing(t) {
			return true
		}
		for i := range t.NumField() {
			if !still(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}

// flat reports whether values of t have no pointers that could count. What is
// flat is still, but a time is still and not flat.
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
