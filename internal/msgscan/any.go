package msgscan

import (
	"math"
	"reflect"
)

// Widen makes numbers in an any independent of how the encoder wrote them: each
// becomes an int64, or a uint64 beyond that, or a float64. v is a decoded value
// of the shape's type, and settable.
func (s *Shape) Widen(v reflect.Value) { s.root.widen(v) }

func (n *node) widen(v reflect.Value) {
	if !n.any {
		return
	}
	switch n.form {
	case formAny:
		if !v.IsNil() {
			v.Set(reflect.ValueOf(widen(v.Interface())))
		}
	case formPointer:
		if !v.IsNil() {
			n.elem.widen(v.Elem())
		}
	case formSlice, formArray:
		for i := range v.Len() {
			n.elem.widen(v.Index(i))
		}
	case formStruct:
		for i := range n.fields {
			n.fields[i].node.widen(v.FieldByIndex(n.fields[i].index))
		}
	case formMap:
		n.widenMap(v)
	}
}

// widenMap replaces the values, which cannot be set in place.
func (n *node) widenMap(v reflect.Value) {
	value := reflect.New(n.elem.typ).Elem()
	for it := v.MapRange(); it.Next(); {
		key := it.Key()
		if !key.Equal(key) {
			continue // a NaN: setting it would add another
		}
		value.SetIterValue(it)
		n.elem.widen(value)
		v.SetMapIndex(key, value)
	}
}

// widen does it for what the decoder makes of an any.
func widen(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		if v <= math.MaxInt64 {
			return int64(v)
		}
	case float32:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = widen(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = widen(v[k])
		}
	}
	return v
}

func (n *node) holdsAny(seen map[*node]bool) bool {
	if n.form == formAny {
		return true
	}
	if seen[n] {
		return false
	}
	seen[n] = true
	for _, part := range n.parts() {
		if part.holdsAny(seen) {
			return true
		}
	}
	return false
}
