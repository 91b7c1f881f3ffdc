// Package schema gives a Go type a number that changes when the type's encoding
// does. It is not a registry and keeps nothing.
package schema

import (
	"encoding"
	"encoding/json"
	"hash/fnv"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// ID returns the number of type t as encoded by the codec named codecID. It is
// the same in every process and build, and equal for types that are built alike
// and have the same short names, whatever package they are in: two services with
// a copy of one struct share entries. It differs if a name, a field's type or
// tag, or the codec differs; the order of fields counts only where structs are
// encoded as arrays. A type that encodes itself, by an interface that the codec
// knows, counts by its full name only: who changes its encoding must rename it.
//
// It costs a walk over the type by reflection, some microseconds, and is meant
// to be called once per type. Unequal types collide with a
// chance of 2^-64; it is no defence against someone who wants a collision.
func ID(codecID string, t reflect.Type) uint64 {
	w := writer{own: ownCode(codecID), seen: make(map[reflect.Type]int)}
	w.text("larder schema 1")
	w.text(codecID)
	w.typ(t)
	h := fnv.New64a()
	h.Write([]byte(w.out.String()))
	return h.Sum64()
}

// writer spells a type out, so that unlike types have unlike texts.
type writer struct {
	own  []reflect.Type // the interfaces by which types encode themselves
	out  strings.Builder
	seen map[reflect.Type]int // the named types so far, by when they came
}

// text writes s so that its end is plain.
func (w *writer) text(s string) {
	w.out.WriteString(strconv.Quote(s))
}

func (w *writer) count(n int) { w.text(strconv.Itoa(n)) }

func (w *writer) typ(t reflect.Type) {
	if t == nil {
		w.text("nil")
		return
	}
	if w.encodesItself(t) {
		w.text("self")
		if t.Name() == "" {
			w.text(t.String()) // a struct that embeds such a type
		} else {
			w.text(t.PkgPath() + "." + t.Name())
		}
		return
	}
	if t.Name() != "" && t.PkgPath() != "" {
		if n, ok := w.seen[t]; ok {
			w.text("again")
			w.count(n)
			return
		}
		w.seen[t] = len(w.seen)
	}
	w.text(shortName(t))
	w.text(t.Kind().String())
	w.parts(t)
}

func (w *writer) parts(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		w.typ(t.Elem())
	case reflect.Array:
		w.count(t.Len())
		w.typ(t.Elem())
	case reflect.Map:
		w.typ(t.Key())
		w.typ(t.Elem())
	case reflect.Struct:
		w.fields(t)
	}
}

// shortName is a type's name without its package; those of a generic type's
// arguments are in it too, and lose their packages as well.
func shortName(t reflect.Type) string {
	name := t.Name()
	var out strings.Builder
	start := 0
	for i := 0; i <= len(name); i++ {
		if i < len(name) && !strings.ContainsRune("[],*{} ", rune(name[i])) {
			continue
		}
		word := name[start:i]
		if dot := strings.LastIndexByte(word, '.'); dot >= 0 {
			word = word[dot+1:]
		}
		out.WriteString(word)
		if i < len(name) {
			out.WriteByte(name[i])
		}
		start = i + 1
	}
	return out.String()
}

// ownCode returns the interfaces that the codec looks for in a type. Of a codec
// that it does not know it expects all of them.
func ownCode(codecID string) []reflect.Type {
	msgpackCode := []reflect.Type{
		reflect.TypeFor[encoding.TextMarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](),
		reflect.TypeFor[msgpack.CustomEncoder](),
		reflect.TypeFor[msgpack.Marshaler](),
	}
	jsonCode := []reflect.Type{
		reflect.TypeFor[encoding.TextMarshaler](),
		reflect.TypeFor[json.Marshaler](),
	}
	switch codecID {
	case "msgpack":
		return msgpackCode
	case "json":
		return jsonCode
	}
	return append(msgpackCode, jsonCode...)
}

func (w *writer) encodesItself(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false
	}
	for _, own := range w.own {
		if reflect.PointerTo(t).Implements(own) {
			return true
		}
	}
	return false
}
