package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strconv"
	"strings"
)

// Of returns the key of a method's answer for the type T: its parts are the
// type's name, the method and parts. It takes parts as With does. See For,
// which writes the name once.
//
// Types of one name in different packages have different names here, in every
// process and build alike: a type of package main is its plain name, as in
// Product-ByID-42; any other is followed by 64 bits of the SHA-256 digest of its
// import path and name, as in Product@91b5ab3c61f5ef0d-ByID-42. A pointer to T
// is another type than T. Types declared inside functions cannot be told apart
// if they share name and package; types without a name are refused unless they
// are made of named ones. To have a plain name in any package, and to keep it
// when the type moves, name it yourself: With("Product", "ByID", id).
func Of[T any](method string, parts ...any) string {
	return For[T](method).With(parts...)
}

// For returns the builder of the keys that Of[T] returns for method.
func For[T any](method string) Builder {
	name, err := typeName(reflect.TypeFor[T]())
	if err != nil {
		panic(err)
	}
	return Bind(name, method)
}

// typeName returns the name of t among all types.
func typeName(t reflect.Type) (string, error) {
	full, err := fullName(t)
	if err != nil {
		return "", err
	}
	return uniqueName(full, shortName(t)), nil
}

// uniqueName returns short, made unique if full says more than that.
func uniqueName(full, short string) string {
	if full == short || full == "main."+short {
		return short
	}
	digest := sha256.Sum256([]byte(full))
	return short + "@" + hex.EncodeToString(digest[:8])
}

// shortName returns the name of t or of what it is made of, without package and
// type arguments.
func shortName(t reflect.Type) string {
	for t.Name() == "" {
		t = t.Elem()
	}
	name, _, _ := strings.Cut(t.Name(), "[")
	return name
}

// fullName returns the name of t with all packages in it.
func fullName(t reflect.Type) (string, error) {
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name(), nil
		}
		return t.PkgPath() + "." + t.Name(), nil
	}
	var prefix string
	switch t.Kind() {
	case reflect.Pointer:
		prefix = "*"
	case reflect.Slice:
		prefix = "[]"
	case reflect.Array:
		prefix = "[" + strconv.Itoa(t.Len()) + "]"
	case reflect.Map:
		key, err := fullName(t.Key())
		if err != nil {
			return "", err
		}
		prefix = "map[" + key + "]"
	default:
		return "", &UnsupportedError{Type: t, Reason: "has no name"}
	}
	elem, err := fullName(t.Elem())
	return prefix + elem, err
}
