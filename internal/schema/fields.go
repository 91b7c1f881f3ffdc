package schema

import (
	"reflect"
	"slices"
	"strings"

	"github.com/vmihailenco/tagparser/v2"
)

// fields writes a struct's fields, by name unless their order is what tells
// them apart in the encoding.
func (w *writer) fields(t reflect.Type) {
	fields := encoded(t)
	options, asArray := structOptions(t)
	w.text(options)
	if !asArray {
		slices.SortFunc(fields, func(a, b reflect.StructField) int { return strings.Compare(a.Name, b.Name) })
	}
	w.count(len(fields))
	for _, f := range fields {
		w.text(f.Name)
		if f.Anonymous {
			w.text("embedded")
		}
		w.text(f.Tag.Get("msgpack"))
		w.text(f.Tag.Get("json"))
		w.typ(f.Type)
	}
}

// encoded returns the fields that an encoder may look at.
func encoded(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		hidden := f.Tag.Get("msgpack") == "-" && f.Tag.Get("json") == "-"
		if (f.IsExported() || f.Anonymous) && !hidden {
			fields = append(fields, f)
		}
	}
	return fields
}

// structOptions returns the tag of a struct's _msgpack field, which concerns
// the struct as a whole, and whether it says that structs become arrays.
func structOptions(t reflect.Type) (options string, asArray bool) {
	f, ok := t.FieldByName("_msgpack")
	if !ok {
		return "", false
	}
	options = f.Tag.Get("msgpack")
	tag := tagparser.Parse(options)
	return options, tag.HasOption("as_array") || tag.HasOption("asArray")
}
