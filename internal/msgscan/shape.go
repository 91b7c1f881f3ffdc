package msgscan

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

// Shape is what the encoder writes for one Go type. It is safe for
// concurrent use.
type Shape struct {
	root     *node
	dynamics dynamics

	// Walk says that a value may be cyclic, or hold what cannot be restored,
	// and must pass Check before it is encoded.
	Walk bool

	// Rescan says that the type alone does not tell that an encoding is sound:
	// code of its own wrote a part, or it may be sparse. Scan it once more.
	Rescan bool

	// Any says that a value may hold an any, and so must pass Widen after it
	// was decoded.
	Any bool
}

// ShapeOf returns the shape of t, or an error that names what in t cannot be
// encoded and restored:
//
//   - channels, functions, complex numbers, uintptr, unsafe pointers;
//   - interfaces other than any;
//   - a struct that has fields but none that is encoded, two fields of one
//     name, an embedded pointer to a struct (unless tagged noinline), or the
//     tag "intern";
//   - map keys with pointers, interfaces or times, which would not be found again;
//   - a type that encodes itself but does not decode itself in the same way;
//   - a type that is only a pointer to itself, or embeds itself.
//
// It walks t by reflection and is meant to be called once per type.
func ShapeOf(t reflect.Type) (*Shape, error) {
	c := compiler{nodes: make(map[reflect.Type]*node)}
	root, err := c.compile(t)
	if err != nil {
		return nil, err
	}
	s := &Shape{root: root}
	for _, n := range c.nodes {
		n.walk = n.measure(make(map[*node]bool)) < 0
		n.any = n.holdsAny(make(map[*node]bool))
		s.Walk = s.Walk || n.walk
		s.Rescan = s.Rescan || n.rescan()
	}
	s.Any = root.any
	return s, nil
}

// node is the shape of one type.
type node struct {
	form    form
	typ     reflect.Type
	bits    int // of an integer
	key     *node
	elem    *node
	fields  []field
	asArray bool
	walk    bool // a value may need Check
	any     bool // an any is in it
	depth   int  // how deep it nests, if that is known from the type

	measured bool
}

type field struct {
	name     string
	index    []int
	optional bool // omitted when empty
	node     *node
}

// form is the way in which a type is encoded.
type form uint8

const (
	formBool form = iota
	formInt
	formUint
	formFloat32
	formFloat64
	formString
	formBytes
	formByteArray
	formTime
	formSlice
	formArray
	formMap
	formStruct
	formPointer
	formAny
	formOwn  // whatever the type's own code writes
	formBlob // the bytes or the text that the type's own code returns
)

var simpleForms = map[reflect.Kind]form{
	reflect.Bool:    formBool,
	reflect.Int:     formInt,
	reflect.Int8:    formInt,
	reflect.Int16:   formInt,
	reflect.Int32:   formInt,
	reflect.Int64:   formInt,
	reflect.Uint:    formUint,
	reflect.Uint8:   formUint,
	reflect.Uint16:  formUint,
	reflect.Uint32:  formUint,
	reflect.Uint64:  formUint,
	reflect.Float32: formFloat32,
	reflect.Float64: formFloat64,
	reflect.String:  formString,
}

type compiler struct {
	nodes map[reflect.Type]*node
}

func refuse(t reflect.Type, format string, args ...any) error {
	return fmt.Errorf("%s "+format, append([]any{t}, args...)...)
}

// compile returns the node of t. The node of a type that contains itself is
// seen unfinished by its parts.
func (c *compiler) compile(t reflect.Type) (*node, error) {
	if n, ok := c.nodes[t]; ok {
		return n, nil
	}
	n := &node{typ: t}
	c.nodes[t] = n
	own, form, err := ownForm(t)
	switch {
	case err != nil:
		return nil, err
	case own:
		n.form = form
		return n, nil
	}
	if form, ok := simpleForms[t.Kind()]; ok {
		n.form = form
		if form == formInt || form == formUint {
			n.bits = t.Bits()
		}
		return n, nil
	}
	return n, c.composite(n)
}

func (c *compiler) composite(n *node) (err error) {
	t := n.typ
	switch t.Kind() {
	case reflect.Pointer:
		if pointsToItself(t) {
			return refuse(t, "is only a pointer to itself")
		}
		n.form = formPointer
		n.elem, err = c.compile(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			n.form = formBytes
			return nil
		}
		n.form = formSlice
		n.elem, err = c.compile(t.Elem())
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			n.form = formByteArray
			return nil
		}
		n.form = formArray
		n.elem, err = c.compile(t.Elem())
	case reflect.Map:
		n.form = formMap
		if holdsPointer(t.Key()) {
			return refuse(t, "has keys that would not be found again")
		}
		if n.key, err = c.compile(t.Key()); err == nil {
			n.elem, err = c.compile(t.Elem())
		}
	case reflect.Struct:
		n.form = formStruct
		return c.fields(n)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return refuse(t, "is an interface: what it held cannot be restored")
		}
		n.form = formAny
	default:
		return refuse(t, "has no encoding")
	}
	return err
}

// pointsToItself finds type P *P, over which the encoder never ends.
func pointsToItself(t reflect.Type) bool {
	seen := map[reflect.Type]bool{}
	for ; t.Kind() == reflect.Pointer; t = t.Elem() {
		if seen[t] {
			return true
		}
		seen[t] = true
	}
	return false
}

// holdsPointer reports whether equality of t, which is comparable, looks at
// addresses or dynamic types. Those of a type with code of its own are its own
// business, but for a time: == compares its zone.
func holdsPointer(t reflect.Type) bool {
	if own, form, err := ownForm(t); own && err == nil {
		return form == formTime
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Chan, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return holdsPointer(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if holdsPointer(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// ownCode lists, in the encoder's order, how a type may encode and decode itself.
var ownCode = [...]struct {
	encode, decode reflect.Type
	form           form
}{
	{reflect.TypeFor[msgpack.CustomEncoder](), reflect.TypeFor[msgpack.CustomDecoder](), formOwn},
	{reflect.TypeFor[msgpack.Marshaler](), reflect.TypeFor[msgpack.Unmarshaler](), formOwn},
	{reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](), formBlob},
	{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](), formBlob},
}

// ownForm finds the code of its own with which t is encoded, as the encoder
// does: first of t, then of *t.
func ownForm(t reflect.Type) (own bool, f form, err error) {
	if t == reflect.TypeFor[time.Time]() {
		return true, formTime, nil
	}
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return false, 0, nil // a pointer is nil or what it points to
	}
	encode, decode := -1, -1
	for _, t := range [...]reflect.Type{t, reflect.PointerTo(t)} {
		for i, code := range ownCode {
			if encode < 0 && t.Implements(code.encode) {
				encode = i
			}
			if decode < 0 && t.Implements(code.decode) {
				decode = i
			}
		}
	}
	switch {
	case encode != decode:
		return false, 0, refuse(t, "does not decode itself in the way it encodes itself")
	case encode < 0:
		return false, 0, nil
	}
	return true, ownCode[encode].form, nil
}
