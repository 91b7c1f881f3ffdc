package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
)

// JSON is the codec for entries that programs in other languages share:
// encoding/json, with field names as they are or as tagged, and no escaping of
// HTML. Nil, empty and zero values come back as they were, times with their
// offset.
//
// A type that could not come back is refused with ErrUnencodable at every
// Append: channels, functions, complex numbers, interfaces other than any,
// structs with fields of which none is encoded, and types that encode but do not
// decode themselves. So are values that are cyclic or nest deeper than 10,000,
// NaN and infinity, and strings that are not UTF-8, which encoding/json would
// change. Unexported fields are not stored, and a pointer to nil comes back as
// nil.
//
// In an any, numbers come back as json.Number, so that none loses digits,
// structs and maps as map[string]any, slices as []any.
//
// Decode ignores members that V does not have, and accepts null only where nil
// can be in V as a whole. Trailing data is ErrUndecodable. It may allocate the
// size of a slice's element for each two bytes of data.
func JSON[V any]() Codec[V] {
	t := reflect.TypeFor[V]()
	c := &jsonCodec[V]{null: encodesNull(t)}
	if err := checkJSONType(t, make(map[reflect.Type]bool)); err != nil {
		c.refused = &codecError{kind: ErrUnencodable, reason: err.Error()}
	}
	return c
}

type jsonCodec[V any] struct {
	refused error // why V cannot be encoded
	null    bool  // V as a whole may be null
}

// jsonDepth in brackets takes at least twice as many bytes. encoding/json reads
// nothing deeper, but writes it.
const jsonDepth = 10_000

var (
	errJSONDeep = errors.New("nested too deep")
	errNotUTF8  = errors.New("not UTF-8")
	errTrailing = errors.New("trailing data")
	errNull     = errors.New("null")
)

func (c *jsonCodec[V]) ID() string { return "json" }

func (c *jsonCodec[V]) Append(dst []byte, v V) (out []byte, err error) {
	if c.refused != nil {
		return dst, c.refused
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, recovered(ErrUnencodable, p)
		}
	}()
	w := appender{dst}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err = enc.Encode(&v); err == nil {
		out = w.b[:len(w.b)-1] // without the encoder's newline
		err = checkJSON(out[len(dst):])
	}
	if err != nil {
		return dst, &codecError{ErrUnencodable, fmt.Sprintf("a %v as JSON", reflect.TypeFor[V]()), err}
	}
	return out, nil
}

// checkJSON refuses what encoding/json wrote but would not read, or reads as
// something else.
func checkJSON(text []byte) error {
	if replacedBytes(text) {
		return errNotUTF8
	}
	if len(text) > 2*jsonDepth && !json.Valid(text) {
		return errJSONDeep
	}
	return nil
}

// replacedBytes reports whether text has the escape \ufffd, which the encoder
// writes for bytes that are not UTF-8; the character itself it does not escape.
func replacedBytes(text []byte) bool {
	for {
		i := bytes.Index(text, []byte(`\ufffd`))
		if i < 0 {
			return false
		}
		slashes := 0
		for i-1-slashes >= 0 && text[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return true
		}
		text = text[i+1:] // an escaped backslash, and then a word
	}
}

func (c *jsonCodec[V]) Decode(data []byte) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			var zero V
			v, err = zero, recovered(ErrUndecodable, p)
		}
	}()
	p := new(V)
	if err := c.decode(data, p); err != nil {
		return v, &codecError{ErrUndecodable, fmt.Sprintf("no %v as JSON", reflect.TypeFor[V]()), err}
	}
	return *p, nil
}

func (c *jsonCodec[V]) decode(data []byte, p *V) error {
	if c.refused != nil {
		return c.refused
	}
	if !c.null && string(bytes.TrimSpace(data)) == "null" {
		return errNull
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(p); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errTrailing
	}
	return nil
}
