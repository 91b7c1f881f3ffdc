package msgscan

import (
	"errors"
	"reflect"
	"sync"
)

// What Check finds in a value.
var (
	ErrValueDeep  = errors.New("is cyclic or nested too deep")
	ErrValueNil   = errors.New("has a pointer to nil, which would come back as nil")
	ErrValueLarge = errors.New("has too many elements")
)

// dynamics holds the shapes of types met in values of type any.
type dynamics struct{ m sync.Map }

func (d *dynamics) node(t reflect.Type) (*node, error) {
	if n, ok := d.m.Load(t); ok {
		return n.(*node), nil
	}
	s, err := ShapeOf(t)
	if err != nil {
		return nil, err
	}
	d.m.Store(t, s.root)
	return s.root, nil
}

// Check returns an error if the encoder would not end over v, or if v is of
// those that do not come back as they were: it has a pointer to a nil pointer,
// slice, map or interface.
// What an any holds is another matter: it comes back as the nearest type of
// bool, int64, uint64, float64, string, []byte, time.Time, []any and
// map[string]any, and a typed nil in it as nil.
//
// v must be of the shape's type. Check looks only at the parts of v where that
// can be, and fails after MaxDepth levels or four million elements.
func (s *Shape) Check(v reflect.Value) error {
	c := checker{any: &s.dynamics}
	return c.node(s.root, v, 0, 0)
}

type checker struct {
	any  *dynamics
	seen int
}

const (
	maxHops     = 4 * MaxDepth // pointers and interfaces followed as well
	maxElements = 1 << 22
)

func (c *checker) node(n *node, v reflect.Value, depth, hops int) error {
	if !n.walk {
		if depth+n.depth > MaxDepth {
			return ErrValueDeep
		}
		return nil
	}
	if c.seen++; c.seen > maxElements {
		return ErrValueLarge
	}
	switch n.form {
	case formSlice, formArray, formMap, formStruct:
		depth++
	}
	if hops++; depth > MaxDepth || hops > maxHops {
		return ErrValueDeep
	}
	switch n.form {
	case formSlice, formArray:
		for i := range v.Len() {
			if err := c.node(n.elem, v.Index(i), depth, hops); err != nil {
				return err
			}
		}
	case formMap:
		return c.entries(n, v, depth, hops)
	case formStruct:
		return c.fields(n, v, depth, hops)
	case formPointer:
		return c.pointer(n, v, depth, hops)
	case formAny:
		return c.dynamic(v, depth, hops)
	}
	return nil
}

func (c *checker) entries(n *node, v reflect.Value, depth, hops int) error {
	for it := v.MapRange(); it.Next(); {
		if err := c.node(n.key, it.Key(), depth, hops); err != nil {
			return err
		}
		if err := c.node(n.elem, it.Value(), depth, hops); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) fields(n *node, v reflect.Value, depth, hops int) error {
	for i := range n.fields {
		f := &n.fields[i]
		if err := c.node(f.node, v.FieldByIndex(f.index), depth, hops); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) pointer(n *node, v reflect.Value, depth, hops int) error {
	if v.IsNil() {
		return nil
	}
	if v = v.Elem(); nilable(v.Kind()) && v.IsNil() {
		return ErrValueNil
	}
	return c.node(n.elem, v, depth, hops)
}

func (c *checker) dynamic(v reflect.Value, depth, hops int) error {
	if v.IsNil() {
		return nil
	}
	v = v.Elem()
	n, err := c.any.node(v.Type())
	if err != nil {
		return err
	}
	return c.node(n, v, depth, hops)
}

func nilable(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		return true
	}
	return false
}

// measure returns how many levels a value nests, or -1 if that, or whether the
// value comes back as it was, depends on the value. path are the nodes above.
func (n *node) measure(path map[*node]bool) int {
	if n.measured {
		return n.depth
	}
	if path[n] {
		return -1 // on a cycle, as is all between its two places on the path
	}
	path[n] = true
	n.depth = n.measureParts(path)
	n.measured = true
	delete(path, n)
	return n.depth
}

func (n *node) measureParts(path map[*node]bool) int {
	if n.form == formAny || n.form == formPointer && nilable(n.elem.typ.Kind()) {
		return -1
	}
	deepest := 0
	for _, part := range n.parts() {
		d := part.measure(path)
		if d < 0 {
			return -1
		}
		deepest = max(deepest, d)
	}
	switch n.form {
	case formSlice, formArray, formMap, formStruct:
		deepest++
	}
	if deepest > MaxDepth {
		return -1 // Check will say so
	}
	return deepest
}

func (n *node) parts() []*node {
	var parts []*node
	if n.key != nil {
		parts = append(parts, n.key)
	}
	if n.elem != nil {
		parts = append(parts, n.elem)
	}
	for i := range n.fields {
		parts = append(parts, n.fields[i].node)
	}
	return parts
}

// rescan reports whether n's encoding may be unsound for its own sake.
func (n *node) rescan() bool {
	switch n.form {
	case formAny, formOwn:
		return true
	case formSlice, formMap:
		least := n.elem.least()
		if n.form == formMap {
			least += n.key.least()
		}
		return n.elemMemory() > amplification*least
	case formPointer:
		return int(n.elem.typ.Size()) > amplification*n.elem.least()
	}
	return false
}

// least returns a lower bound of the encoding's length.
func (n *node) least() int {
	switch n.form {
	case formByteArray:
		return 2 + n.typ.Len()
	case formArray:
		return 1 + n.typ.Len()*n.elem.least()
	case formStruct:
		least := 1
		for i := range n.fields {
			if !n.fields[i].optional {
				least += n.fields[i].node.least()
				if !n.asArray {
					least += 1 + len(n.fields[i].name)
				}
			}
		}
		return least
	}
	return 1
}
