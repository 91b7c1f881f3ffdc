package cache

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// encodesNull reports whether a value of t as a whole may be null.
func encodesNull(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	own, err := encodesItself(t)
	return own && err == nil
}

// checkJSONType returns an error if encoding/json cannot encode and restore t.
// seen are the types that it was asked about already.
func checkJSONType(t reflect.Type, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	seen[t] = true
	if own, err := encodesItself(t); own || err != nil {
		return err
	}
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.UnsafePointer:
		return fmt.Errorf("%s has no encoding", t)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s is an interface: what it held cannot be restored", t)
		}
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkJSONType(t.Elem(), seen)
	case reflect.Map:
		return checkJSONMap(t, seen)
	case reflect.Struct:
		return checkJSONStruct(t, seen)
	}
	return nil
}

func checkJSONMap(t reflect.Type, seen map[reflect.Type]bool) error {
	key := t.Key()
	if key.Kind() == reflect.Interface || key.Kind() == reflect.Pointer || key == reflect.TypeFor[time.Time]() {
		return fmt.Errorf("%s has keys that would not be found again", t)
	}
	return checkJSONType(t.Elem(), seen)
}

func checkJSONStruct(t reflect.Type, seen map[reflect.Type]bool) error {
	encoded := 0
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("json") == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		encoded++
		if err := checkJSONType(f.Type, seen); err != nil {
			return err
		}
	}
	if encoded == 0 && t.NumField() > 0 {
		return fmt.Errorf("%s has fields, but none that is encoded", t)
	}
	return nil
}

// ownJSON lists, in the encoder's order, how a type may encode and decode
// itself.
var ownJSON = [...]struct{ encode, decode reflect.Type }{
	{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()},
	{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()},
}

// encodesItself reports whether t has code of its own for JSON. It must have
// both ways: that of t or *t to encode, that of *t to decode.
func encodesItself(t reflect.Type) (bool, error) {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false, nil // a pointer is nil or what it points to
	}
	for _, own := range ownJSON {
		encode := reflect.PointerTo(t).Implements(own.encode)
		decode := reflect.PointerTo(t).Implements(own.decode)
		if encode != decode {
			return false, fmt.Errorf("%s does not decode itself in the way it encodes itself", t)
		}
		if encode {
			return true, nil
		}
	}
	return false, nil
}
