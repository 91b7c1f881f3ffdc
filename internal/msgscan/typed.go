package msgscan

import "math"

// Scan returns nil if data is what the encoder writes for a value of the type,
// or at least something that the decoder restores a value from without loss:
// every struct has its fields, in order and no others, every integer fits, nil
// is only where nil can be. What it cannot see into is what types wrote that
// encode themselves. Otherwise it is like the function Scan.
func (s *Shape) Scan(data []byte) error {
	return scan(data, func(r *scanner) error { return r.node(s.root, 0) })
}

func (s *scanner) node(n *node, depth int) error {
	switch n.form {
	case formAny, formOwn:
		return s.value(depth)
	case formPointer:
		return s.pointer(n, depth)
	case formSlice, formMap, formBytes, formBlob:
		if s.peekNil() {
			return nil
		}
	}
	h, err := s.header()
	if err != nil {
		return err
	}
	switch n.form {
	case formSlice, formArray:
		return s.elements(n, h, depth+1)
	case formMap:
		return s.entries(n, h, depth+1)
	case formStruct:
		return s.structure(n, h, depth+1)
	case formInt, formUint:
		return n.checkInteger(h)
	}
	if !n.takes(h) {
		return ErrShape
	}
	return s.body(h, depth)
}

// takes reports whether h begins a value of n, whose form is simple.
func (n *node) takes(h header) bool {
	switch n.form {
	case formBool:
		return h.kind == isBool
	case formFloat32:
		return h.kind == isFloat32
	case formFloat64:
		return h.kind == isFloat64
	case formString:
		return h.kind == isStr
	case formBytes, formBlob:
		return h.kind == isBin
	case formByteArray:
		return h.kind == isBin && h.n == n.typ.Len()
	case formTime:
		return h.kind == isExt
	}
	return false
}

func (n *node) checkInteger(h header) error {
	if h.kind != isInt && h.kind != isUint {
		return ErrShape
	}
	negative := h.kind == isInt && int64(h.bits) < 0
	if n.form == formUint {
		if negative || h.bits > math.MaxUint64>>(64-n.bits) {
			return ErrRange
		}
		return nil
	}
	if h.kind == isUint && h.bits > math.MaxInt64 {
		return ErrRange
	}
	if i, shift := int64(h.bits), 64-n.bits; i<<shift>>shift != i {
		return ErrRange
	}
	return nil
}

func (s *scanner) pointer(n *node, depth int) error {
	if s.peekNil() {
		return nil
	}
	if err := s.charge(1, int(n.elem.typ.Size())); err != nil {
		return err
	}
	return s.node(n.elem, depth)
}

func (s *scanner) elements(n *node, h header, depth int) error {
	if h.kind != isArray || n.form == formArray && h.n != n.typ.Len() {
		return ErrShape
	}
	if depth > MaxDepth {
		return ErrDeep
	}
	if n.form == formSlice {
		if err := s.charge(h.n, n.elemMemory()); err != nil {
			return err
		}
	}
	for range h.n {
		if err := s.node(n.elem, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) entries(n *node, h header, depth int) error {
	if h.kind != isMap {
		return ErrShape
	}
	if depth > MaxDepth {
		return ErrDeep
	}
	if err := s.charge(h.n, n.elemMemory()); err != nil {
		return err
	}
	for range h.n {
		if err := s.node(n.key, depth); err != nil {
			return err
		}
		if err := s.node(n.elem, depth); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) structure(n *node, h header, depth int) error {
	if depth > MaxDepth {
		return ErrDeep
	}
	if n.asArray {
		return s.positional(n, h, depth)
	}
	if h.kind != isMap {
		return ErrShape
	}
	next := 0
	for range h.n {
		name, err := s.name()
		if err != nil {
			return err
		}
		for next < len(n.fields) && n.fields[next].optional && n.fields[next].name != string(name) {
			next++
		}
		if next == len(n.fields) || n.fields[next].name != string(name) {
			return ErrShape
		}
		if err := s.node(n.fields[next].node, depth); err != nil {
			return err
		}
		next++
	}
	for ; next < len(n.fields); next++ {
		if !n.fields[next].optional {
			return ErrShape
		}
	}
	return nil
}

func (s *scanner) positional(n *node, h header, depth int) error {
	if h.kind != isArray || h.n != len(n.fields) {
		return ErrShape
	}
	for i := range n.fields {
		if err := s.node(n.fields[i].node, depth); err != nil {
			return err
		}
	}
	return nil
}

// name reads the name of a field.
func (s *scanner) name() ([]byte, error) {
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	if h.kind != isStr {
		return nil, ErrShape
	}
	return s.take(h.n)
}

// elemMemory estimates what the decoder allocates for an element or a pair. It
// makes a slice twice over, and a map with room to spare.
func (n *node) elemMemory() int {
	size := int(n.elem.typ.Size())
	if n.form == formMap {
		size += int(n.key.typ.Size())
	}
	return 2 * size
}
