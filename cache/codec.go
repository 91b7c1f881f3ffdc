package cache

import (
	"bytes"
	"errors"
	"fmt"
)

// Codec turns values into bytes and back.
//
// A codec is called by many goroutines at once. Those of this package turn a
// panic in the code of V, such as a MarshalJSON, into an error; a Typed does so
// for any other.
type Codec[V any] interface {
	// ID names the format, as in "msgpack". It is part of what identifies an
	// entry's schema: two codecs with one ID must read each other's bytes.
	ID() string

	// Append appends the encoding of v to dst and returns the longer slice. A
	// value that it cannot encode, or could not decode again, is an error
	// wrapping ErrUnencodable.
	Append(dst []byte, v V) ([]byte, error)

	// Decode reads one value. It must consume all of data, must not keep data,
	// and returns the zero V and an error wrapping ErrUndecodable for anything
	// that Append did not write.
	Decode(data []byte) (V, error)
}

// ErrUnencodable means that a value, or its type, cannot be turned into bytes
// from which it could be restored. Nothing was stored.
var ErrUnencodable = errors.New("larder: unencodable value")

// codecError is what went wrong in a codec. Its text leaves the cause out: the
// errors of decoders and marshalers quote what they read.
type codecError struct {
	kind   error  // ErrUnencodable or ErrUndecodable
	reason string // may name types and fields, never content
	cause  error
}

func (e *codecError) Error() string { return e.kind.Error() + ": " + e.reason }

func (e *codecError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}

// recovered turns a panic of user code into an error of the given kind.
func recovered(kind error, p any) error {
	cause, _ := p.(error)
	return &codecError{kind: kind, reason: fmt.Sprintf("its code panicked with a %T", p), cause: cause}
}

// guarded is a codec of a user's own. A panic in it is an error, and so are bytes
// that do not begin with those it was to append to.
type guarded[V any] struct{ Codec[V] }

func guard[V any](c Codec[V]) Codec[V] {
	switch any(c).(type) {
	case *msgpackCodec[V], *jsonCodec[V], bytesCodec, textCodec:
		return c
	}
	return guarded[V]{c}
}

func (g guarded[V]) Append(dst []byte, v V) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, recovered(ErrUnencodable, p)
		}
	}()
	out, err = g.Codec.Append(dst, v)
	if err == nil && !bytes.HasPrefix(out, dst) {
		return dst, &codecError{kind: ErrUnencodable, reason: "its codec did not append"}
	}
	return out, err
}

func (g guarded[V]) Decode(data []byte) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			var zero V
			v, err = zero, recovered(ErrUndecodable, p)
		}
	}()
	return g.Codec.Decode(data)
}

// Bytes is the codec for byte slices: one byte that tells nil from the rest,
// and then the bytes as they are. Decode returns a copy.
func Bytes() Codec[[]byte] { return bytesCodec{} }

type bytesCodec struct{}

const (
	bytesNil  = 0
	bytesHere = 1
)

func (bytesCodec) ID() string { return "bytes" }

func (bytesCodec) Append(dst []byte, v []byte) ([]byte, error) {
	if v == nil {
		return append(dst, bytesNil), nil
	}
	return append(append(dst, bytesHere), v...), nil
}

func (bytesCodec) Decode(data []byte) ([]byte, error) {
	switch {
	case len(data) == 1 && data[0] == bytesNil:
		return nil, nil
	case len(data) >= 1 && data[0] == bytesHere:
		return append(make([]byte, 0, len(data)-1), data[1:]...), nil
	}
	return nil, &codecError{kind: ErrUndecodable, reason: "no byte slice"}
}

// Text is the codec for strings: the bytes as they are, UTF-8 or not.
func Text() Codec[string] { return textCodec{} }

type textCodec struct{}

func (textCodec) ID() string { return "text" }

func (textCodec) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }

func (textCodec) Decode(data []byte) (string, error) { return string(data), nil }
