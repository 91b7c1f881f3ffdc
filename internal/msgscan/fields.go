package msgscan

import (
	"reflect"
	"slices"

	"github.com/vmihailenco/tagparser/v2"
)

// fields finds what the encoder writes of a struct, in its order.
func (c *compiler) fields(n *node) error {
	f := fieldFinder{c: c, node: n, names: make(map[string]bool)}
	if err := f.find(n.typ, nil, []reflect.Type{n.typ}); err != nil {
		return err
	}
	n.fields = f.fields
	if n.typ.NumField() > 0 && len(n.fields) == 0 {
		return refuse(n.typ, "has fields, but none that is encoded")
	}
	return nil
}

type fieldFinder struct {
	c      *compiler
	node   *node
	fields []field
	names  map[string]bool // taken; an inlined struct's own name is as well
}

// find adds the fields of t, which is the struct itself or inlined into it at
// index. path are the structs that lead to t.
func (f *fieldFinder) find(t reflect.Type, index []int, path []reflect.Type) error {
	omitEmpty := false
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := tagparser.Parse(sf.Tag.Get("msgpack"))
		if tag.Name == "-" {
			continue
		}
		if sf.Name == "_msgpack" {
			omitEmpty = omitEmpty || tag.HasOption("omitempty")
			if len(path) == 1 {
				f.node.asArray = tag.HasOption("as_array") || tag.HasOption("asArray")
			}
		}
		if !sf.IsExported() && !sf.Anonymous {
			continue
		}
		if tag.HasOption("intern") {
			return refuse(t, "has the tag intern")
		}
		sf.Index = append(slices.Clone(index), i)
		name := tag.Name
		if name == "" {
			name = sf.Name
		}
		if sf.Anonymous && !tag.HasOption("noinline") {
			inlined, err := f.inline(sf, path)
			if err != nil {
				return err
			}
			if inlined {
				if err := f.take(name); err != nil {
					return err
				}
				continue
			}
		}
		if !sf.IsExported() {
			return refuse(t, "embeds %s, which cannot be set", sf.Type)
		}
		if err := f.take(name); err != nil {
			return err
		}
		elem, err := f.c.compile(sf.Type)
		if err != nil {
			return err
		}
		f.fields = append(f.fields, field{
			name: name, index: sf.Index, node: elem,
			optional: omitEmpty || tag.HasOption("omitempty"),
		})
	}
	return nil
}

func (f *fieldFinder) take(name string) error {
	if f.names[name] {
		return refuse(f.node.typ, "has two fields named %s: tag one of them", name)
	}
	f.names[name] = true
	return nil
}

// inline adds the fields of the embedded struct sf, and reports whether the
// encoder would: only if the struct does not encode itself.
func (f *fieldFinder) inline(sf reflect.StructField, path []reflect.Type) (bool, error) {
	t := sf.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false, nil
	}
	if own, _, err := ownForm(t); own || err != nil {
		return false, err
	}
	if slices.Contains(path, t) {
		return false, refuse(t, "embeds itself")
	}
	if sf.Type.Kind() == reflect.Pointer {
		// A nil one would come back as not nil; and the decoder starts a
		// goroutine, for good, for each type embedded in this way.
		return false, refuse(f.node.typ, "embeds a pointer to %s: tag it noinline", t)
	}
	return true, f.find(t, sf.Index, append(slices.Clone(path), t))
}
