package region

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"

	"github.com/larder-go/larder/cache"
)

// nameOf returns the name of T with the paths of all packages that it has to do
// with.
func nameOf[T any]() string {
	t := reflect.TypeFor[T]()
	for t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	var b strings.Builder
	writeName(&b, t)
	return b.String()
}

// writeName writes the name of t. That of a type without one is made of its parts,
// since reflect's own leaves out the paths of their packages.
func writeName(b *strings.Builder, t reflect.Type) {
	if t.Name() != "" {
		if path := t.PkgPath(); path != "" {
			fmt.Fprintf(b, "%s.", path)
		}
		b.WriteString(t.Name()) // type arguments with their paths included
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		b.WriteString("*")
	case reflect.Slice:
		b.WriteString("[]")
	case reflect.Array:
		fmt.Fprintf(b, "[%d]", t.Len())
	case reflect.Chan:
		fmt.Fprintf(b, "%v ", t.ChanDir())
	case reflect.Map:
		b.WriteString("map[")
		writeName(b, t.Key())
		b.WriteString("]")
	case reflect.Struct:
		b.WriteString("struct{")
		for i := range t.NumField() {
			f := t.Field(i)
			fmt.Fprintf(b, "%s.%s %t %q ", f.PkgPath, f.Name, f.Anonymous, f.Tag)
			writeName(b, f.Type)
			b.WriteString(";")
		}
		b.WriteString("}")
		return
	case reflect.Interface:
		b.WriteString("interface{")
		for i := range t.NumMethod() {
			m := t.Method(i)
			fmt.Fprintf(b, "%s.%s ", m.PkgPath, m.Name)
			writeName(b, m.Type)
			b.WriteString(";")
		}
		b.WriteString("}")
		return
	case reflect.Func:
		writeSignature(b, t)
		return
	}
	writeName(b, t.Elem())
}

func writeSignature(b *strings.Builder, t reflect.Type) {
	fmt.Fprintf(b, "func(%t", t.IsVariadic())
	for i := range t.NumIn() {
		b.WriteString(",")
		writeName(b, t.In(i))
	}
	b.WriteString(")(")
	for i := range t.NumOut() {
		writeName(b, t.Out(i))
		b.WriteString(",")
	}
	b.WriteString(")")
}

// fitting returns name, or if it is too long for a region's its beginning and its
// hash.
func fitting(name string) string {
	const most = cache.MaxTokenLength - len(typedPrefix)
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "#" + hex.EncodeToString(sum[:])
	return name[:most-len(hash)] + hash
}
