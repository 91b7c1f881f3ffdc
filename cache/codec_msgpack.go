package cache

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	"github.com/larder-go/larder/internal/msgscan"
	"github.com/vmihailenco/msgpack/v5"
)

// Msgpack is the default codec: MessagePack as vmihailenco/msgpack writes it,
// structs as maps by field name, with its struct tags. Nil, empty and zero
// values come back as they were, times as the same instant in the local zone
// (without monotonic clock), and int64 without loss.
//
// A type that could not come back is refused with ErrUnencodable at every
// Append: channels, functions, complex numbers, interfaces other than any,
// structs with fields of which none is encoded, two fields of one name, embedded
// pointers not tagged noinline, pointers, interfaces and times in map keys, and types
// that encode but do not decode themselves. So are values that are cyclic, nest
// deeper than 64, have a pointer to a nil pointer, slice or map, or, if they can
// be recursive or hold an any, more than four million elements. Unexported
// fields are not stored. A type's own EncodeMsgpack must write exactly one
// value.
//
// In an any, numbers come back as int64 (uint64 beyond it) or float64, structs
// and maps as map[string]any, slices as []any, typed nils as nil; strings,
// []byte, bool and time.Time as they were. An empty field tagged omitempty comes
// back as zero.
//
// Decode checks data against V before it allocates: other structs' bytes,
// integers that do not fit, nil where V has none, and trailing bytes are
// ErrUndecodable. It allocates at most 64 times len(data) and 1 MiB, apart from
// what the types' own code does; Append refuses values beyond that.
func Msgpack[V any]() Codec[V] {
	shape, err := msgscan.ShapeOf(reflect.TypeFor[V]())
	c := &msgpackCodec[V]{shape: shape}
	if err != nil {
		c.refused = &codecError{kind: ErrUnencodable, reason: err.Error()}
	}
	return c
}

type msgpackCodec[V any] struct {
	shape   *msgscan.Shape
	refused error // why V cannot be encoded
	writers sync.Pool
	readers sync.Pool
}

type msgpackWriter struct {
	appender
	enc *msgpack.Encoder
}

type msgpackReader struct {
	bytes.Reader
	dec *msgpack.Decoder
}

func (c *msgpackCodec[V]) ID() string { return "msgpack" }

func (c *msgpackCodec[V]) Append(dst []byte, v V) (out []byte, err error) {
	if c.refused != nil {
		return dst, c.refused
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, recovered(ErrUnencodable, p)
		}
	}()
	value := reflect.ValueOf(&v).Elem() // addressable, for methods on *V
	if c.shape.Walk {
		if err := c.shape.Check(value); err != nil {
			return dst, c.unencodable(err.Error(), err)
		}
	}
	out, err = c.encode(dst, value)
	if err != nil {
		return dst, c.unencodable("its encoder failed", err)
	}
	if c.shape.Rescan {
		if err := c.shape.Scan(out[len(dst):]); err != nil {
			return dst, c.unencodable("its encoding "+err.Error(), err)
		}
	}
	return out, nil
}

// encode gives the writer back unless it panics or fails: then its state is
// unknown.
func (c *msgpackCodec[V]) encode(dst []byte, value reflect.Value) ([]byte, error) {
	w, _ := c.writers.Get().(*msgpackWriter)
	if w == nil {
		w = &msgpackWriter{enc: msgpack.NewEncoder(nil)}
	}
	w.b = dst
	w.enc.Reset(&w.appender)
	if err := w.enc.EncodeValue(value); err != nil {
		return dst, err
	}
	dst, w.b = w.b, nil
	c.writers.Put(w)
	return dst, nil
}

func (c *msgpackCodec[V]) unencodable(reason string, cause error) error {
	return &codecError{ErrUnencodable, fmt.Sprintf("a %v %s", reflect.TypeFor[V](), reason), cause}
}

func (c *msgpackCodec[V]) Decode(data []byte) (v V, err error) {
	if c.refused != nil {
		return v, c.undecodable("cannot have been written", nil)
	}
	defer func() {
		if p := recover(); p != nil {
			var zero V
			v, err = zero, recovered(ErrUndecodable, p)
		}
	}()
	if err := c.shape.Scan(data); err != nil {
		return v, c.undecodable(err.Error(), err)
	}
	p := new(V)
	if err := c.decode(data, reflect.ValueOf(p).Elem()); err != nil {
		return v, c.undecodable("does not decode", err)
	}
	return *p, nil
}

// pooledReader is the most that a pooled reader may have read: it keeps a
// buffer as long as the longest string.
const pooledReader = 64 << 10

func (c *msgpackCodec[V]) decode(data []byte, value reflect.Value) error {
	r, _ := c.readers.Get().(*msgpackReader)
	if r == nil {
		r = &msgpackReader{dec: msgpack.NewDecoder(nil)}
	}
	r.Reset(data)
	r.dec.Reset(&r.Reader)
	if err := r.dec.DecodeValue(value); err != nil {
		return err
	}
	if n := r.Len(); n > 0 {
		return fmt.Errorf("%d bytes are left", n)
	}
	if c.shape.Any {
		c.shape.Widen(value)
	}
	if len(data) <= pooledReader {
		r.Reset(nil)
		c.readers.Put(r)
	}
	return nil
}

func (c *msgpackCodec[V]) undecodable(reason string, cause error) error {
	return &codecError{ErrUndecodable, fmt.Sprintf("a %v %s", reflect.TypeFor[V](), reason), cause}
}

// appender is a writer on top of a slice.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

func (a *appender) WriteByte(c byte) error {
	a.b = append(a.b, c)
	return nil
}
