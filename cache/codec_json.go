package cache

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// JSON is the codec for entries that other programs read: encoding/json with
// the field names as they are.
func JSON[V any]() Codec[V] { return &jsonCodec[V]{} }

type jsonCodec[V any] struct{}

func (*jsonCodec[V]) ID() string { return "json" }

func (c *jsonCodec[V]) Append(dst []byte, v V) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, recovered(ErrUnencodable, p)
		}
	}()
	w := appender{dst}
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&v); err != nil {
		return dst, &codecError{kind: ErrUnencodable, reason: fmt.Sprintf("%T as JSON", v), cause: err}
	}
	return w.b[:len(w.b)-1], nil // without the encoder's newline
}

func (c *jsonCodec[V]) Decode(data []byte) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			var zero V
			v, err = zero, recovered(ErrUndecodable, p)
		}
	}()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	err = dec.Decode(&v)
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			return v, nil
		}
	}
	var zero V
	return zero, &codecError{kind: ErrUndecodable, reason: fmt.Sprintf("no JSON of a %T", v), cause: err}
}
