package keys

import (
	"encoding"
	"reflect"
	"slices"
	"time"
)

// Value makes a part of v. It panics with an [*UnsupportedError] where TryValue
// returns one.
//
// The part is, by the first rule that fits:
//
//   - of nil, also a nil pointer, slice or map: nil
//   - of a [Part]: that part
//   - of a [Keyer], or of what a pointer to it makes one: the text it returns
//   - of a plain part: the same as without Value
//   - of an encoding.TextAppender or encoding.TextMarshaler (a netip.Addr, a
//     big.Int): that text; it must tell unequal values apart
//   - of a pointer or an interface: the part of what it holds
//   - of a slice or array: [a|b|c], the empty one []
//   - of a map: [key=value|...], sorted, the empty one [=]
//   - of a struct: the map of its fields, so [Color=red|Page=2]. The order in
//     which they are declared makes no difference. A field tagged key:"-" is
//     left out. A field that is not exported is refused: two values that differ
//     in it would share a key. Tag it, or implement Keyer.
//
// Functions, channels, complex numbers, values that hold themselves and values
// whose text is longer than 1 MiB are refused. Value allocates; keep the Part
// if it is used again.
func Value(v any) Part {
	p, err := TryValue(v)
	if err != nil {
		panic(err)
	}
	return p
}

// TryValue is Value, with an [*UnsupportedError] for a value that cannot be
// part of a key, or the error of its MarshalText.
func TryValue(v any) (Part, error) {
	dst, err := appendValue(nil, reflect.ValueOf(v), 0)
	if err != nil {
		return Part{}, err
	}
	if len(dst) > maxPartLength {
		return Part{}, &UnsupportedError{Type: reflect.TypeOf(v), Reason: reasonTooLong}
	}
	return Part{encoded: string(dst)}, nil
}

const (
	maxDepth      = 64      // of values within values
	maxPartLength = 1 << 20 // of a part's text
)

func appendValue(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if isNil(v) {
		return append(dst, tagNil...), nil
	}
	t := v.Type()
	switch {
	case depth > maxDepth:
		return nil, &UnsupportedError{Type: t, Reason: reasonNesting}
	case len(dst) > maxPartLength:
		return nil, &UnsupportedError{Type: t, Reason: reasonTooLong}
	case t == partType:
		return v.Interface().(Part).appendTo(dst), nil
	case t == timeType:
		return appendTime(dst, v.Interface().(time.Time)), nil
	case t.Kind() != reflect.Interface && t != reflect.PointerTo(timeType) && hasOwnText(t):
		return appendOwnText(dst, v)
	}
	switch t.Kind() {
	case reflect.Interface:
		return appendValue(dst, v.Elem(), depth)
	case reflect.Pointer:
		return appendValue(dst, v.Elem(), depth+1)
	case reflect.Struct:
		return appendStruct(dst, v, depth)
	case reflect.Map:
		return appendMap(dst, v, depth)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() != reflect.Uint8 {
			return appendList(dst, v, depth)
		}
	}
	return plain(appendByKind(dst, v, false))
}

// plain turns the result of appendByKind into one with a plain error.
func plain(dst []byte, err *UnsupportedError) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return dst, nil
}

// appendOwnText appends the text that v, or a pointer to it, writes itself.
func appendOwnText(dst []byte, v reflect.Value) ([]byte, error) {
	if v.Kind() != reflect.Pointer {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		v = p
	}
	var text []byte
	var err error
	switch m := v.Interface().(type) {
	case Keyer:
		return appendText(dst, m.CacheKey()), nil
	case encoding.TextAppender:
		text, err = m.AppendText(nil)
	case encoding.TextMarshaler:
		text, err = m.MarshalText()
	}
	if err != nil {
		return nil, err
	}
	return appendText(dst, text), nil
}

func appendList(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, '|')
		}
		var err error
		if dst, err = appendValue(dst, v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendStruct(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	t := v.Type()
	fields := make([]string, 0, t.NumField())
	size := 0
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("key") == "-" || f.Name == "_" {
			continue
		}
		if !f.IsExported() {
			return nil, &UnsupportedError{Type: t, Reason: "has a field that is not exported: " + f.Name}
		}
		field, err := appendValue(append(appendText(nil, f.Name), '='), v.Field(i), depth+1)
		if err != nil {
			return nil, err
		}
		if size += len(field); size > maxPartLength {
			return nil, &UnsupportedError{Type: t, Reason: reasonTooLong}
		}
		fields = append(fields, string(field))
	}
	return appendRecord(dst, fields), nil
}

func appendMap(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	entries := make([]string, 0, v.Len())
	size := 0
	for it := v.MapRange(); it.Next(); {
		entry, err := appendValue(nil, it.Key(), depth+1)
		if err != nil {
			return nil, err
		}
		if entry, err = appendValue(append(entry, '='), it.Value(), depth+1); err != nil {
			return nil, err
		}
		if size += len(entry); size > maxPartLength {
			return nil, &UnsupportedError{Type: v.Type(), Reason: reasonTooLong}
		}
		entries = append(entries, string(entry))
	}
	return appendRecord(dst, entries), nil
}

// appendRecord appends name=value entries, sorted.
func appendRecord(dst []byte, entries []string) []byte {
	if len(entries) == 0 {
		return append(dst, "[=]"...)
	}
	slices.Sort(entries)
	dst = append(dst, '[')
	for i, entry := range entries {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = append(dst, entry...)
	}
	return append(dst, ']')
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Interface, reflect.Slice, reflect.Map:
		return v.IsNil()
	}
	return false
}
