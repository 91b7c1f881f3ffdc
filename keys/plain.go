package keys

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"time"
)

// UnsupportedError says why a value cannot be a part of a key. It holds the
// type only, never the value.
type UnsupportedError struct {
	Type   reflect.Type
	Reason string
}

// Error names the type and the reason, never the value.
func (e *UnsupportedError) Error() string {
	return "keys: " + e.Type.String() + " " + e.Reason
}

// appendPlain appends a plain part. It calls no method of part and keeps
// nothing of it, so that the compiler leaves the caller's parts on the stack.
func appendPlain(dst []byte, part any) ([]byte, *UnsupportedError) {
	switch p := part.(type) {
	case nil:
		return append(dst, tagNil...), nil
	case string:
		return appendText(dst, p), nil
	case int:
		return appendInt(dst, int64(p)), nil
	case int64:
		return appendInt(dst, p), nil
	case int32:
		return appendInt(dst, int64(p)), nil
	case uint64:
		return strconv.AppendUint(dst, p, 10), nil
	case uint32:
		return strconv.AppendUint(dst, uint64(p), 10), nil
	case Part:
		return p.appendTo(dst), nil
	case time.Time:
		return appendTime(dst, p), nil
	case []byte:
		if p == nil {
			return append(dst, tagNil...), nil
		}
		return appendText(dst, p), nil
	case *time.Time:
		if p == nil {
			return append(dst, tagNil...), nil
		}
		return appendTime(dst, *p), nil
	}
	return appendByKind(dst, reflect.ValueOf(part), true)
}

func (p Part) appendTo(dst []byte) []byte {
	if p.encoded == "" {
		return append(dst, tagNil...)
	}
	return append(dst, p.encoded...)
}

const (
	reasonOwnText = "has a text of its own: pass keys.Value of it"
	reasonNotText = "is not a plain part: pass keys.Value of it"
	reasonRefused = "cannot be part of a key"
	reasonNesting = "is nested too deeply, or holds itself"
	reasonTooLong = "is too long for a key"
)

var (
	keyerType         = reflect.TypeFor[Keyer]()
	textAppenderType  = reflect.TypeFor[encoding.TextAppender]()
	textMarshalerType = reflect.TypeFor[encoding.TextMarshaler]()
	timeType          = reflect.TypeFor[time.Time]()
	partType          = reflect.TypeFor[Part]()
)

// appendByKind appends a plain part of a type of its own. If strict, types that
// bring a text of their own are refused: the caller could not ask them for it.
func appendByKind(dst []byte, v reflect.Value, strict bool) ([]byte, *UnsupportedError) {
	t := v.Type()
	if strict && hasOwnText(t) {
		return nil, &UnsupportedError{Type: t, Reason: reasonOwnText}
	}
	switch t.Kind() {
	case reflect.String:
		return appendText(dst, v.String()), nil
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return appendInt(dst, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10), nil
	case reflect.Float32, reflect.Float64:
		return appendFloat(dst, v.Float(), t.Bits()), nil
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return appendByteArray(dst, v), nil
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			if v.IsNil() {
				return append(dst, tagNil...), nil
			}
			return appendText(dst, v.Bytes()), nil
		}
	case reflect.Pointer:
		if v.IsNil() {
			return append(dst, tagNil...), nil
		}
		if isScalar(t.Elem().Kind()) {
			return appendByKind(dst, v.Elem(), strict)
		}
	case reflect.Complex64, reflect.Complex128, reflect.Uintptr, reflect.UnsafePointer, reflect.Chan, reflect.Func:
		return nil, &UnsupportedError{Type: t, Reason: reasonRefused}
	}
	return nil, &UnsupportedError{Type: t, Reason: reasonNotText}
}

// hasOwnText reports whether values of type t, or pointers to them, write their
// text themselves. Arrays of bytes do so only as Keyers: a uuid.UUID has the
// same text anyway.
func hasOwnText(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	if t.NumMethod() == 0 {
		return false
	}
	return t.Implements(keyerType) || marshalsText(t) && !isByteArray(t.Elem())
}

func marshalsText(t reflect.Type) bool {
	return t.Implements(textAppenderType) || t.Implements(textMarshalerType)
}

func isByteArray(t reflect.Type) bool {
	return t.Kind() == reflect.Array && t.Elem().Kind() == reflect.Uint8
}

// isScalar reports whether a pointer to kind may be a plain part.
func isScalar(kind reflect.Kind) bool {
	return kind == reflect.String || kind == reflect.Array ||
		kind >= reflect.Bool && kind <= reflect.Float64 && kind != reflect.Uintptr
}

// appendInt appends n; a minus sign is escaped as in any text.
func appendInt(dst []byte, n int64) []byte {
	if n >= 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	var buf [20]byte
	return appendText(dst, strconv.AppendInt(buf[:0], n, 10))
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	if f == 0 {
		f = 0 // not -0
	}
	if math.IsNaN(f) {
		return append(dst, "NaN"...)
	}
	var buf [32]byte
	return appendText(dst, strconv.AppendFloat(buf[:0], f, 'g', -1, bits))
}

// The seconds between which a time's year has four digits.
const (
	firstSecond = -62167219200 // 0000-01-01T00:00:00Z
	lastSecond  = 253402300799 // 9999-12-31T23:59:59Z
)

// appendTime appends the instant t, as 20260102T150405.000000006Z. Outside the
// years 0 to 9999 it is @ and the Unix time.
func appendTime(dst []byte, t time.Time) []byte {
	seconds := t.Unix()
	if seconds >= firstSecond && seconds <= lastSecond {
		return t.UTC().AppendFormat(dst, "20060102T150405.999999999Z")
	}
	dst = appendInt(append(dst, '@'), seconds)
	return strconv.AppendInt(append(dst, '.'), int64(t.Nanosecond()), 10)
}

// appendByteArray appends 16 bytes as a UUID, others in hexadecimal.
func appendByteArray(dst []byte, v reflect.Value) []byte {
	const digits = "0123456789abcdef"
	n := v.Len()
	if n == 0 {
		return append(dst, tagEmpty...)
	}
	for i := range n {
		if n == 16 && (i == 4 || i == 6 || i == 8 || i == 10) {
			dst = appendText(dst, "-")
		}
		c := byte(v.Index(i).Uint())
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
