package cache

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/larder-go/larder/internal/msgscan"
	"github.com/vmihailenco/msgpack/v5"
)

// Msgpack is the default codec: MessagePack, structs as maps by field name.
func Msgpack[V any]() Codec[V] { return &msgpackCodec[V]{} }

type msgpackCodec[V any] struct{}

func (*msgpackCodec[V]) ID() string { return "msgpack" }

func (c *msgpackCodec[V]) Append(dst []byte, v V) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, recovered(ErrUnencodable, p)
		}
	}()
	w := appender{dst}
	enc := msgpack.GetEncoder()
	enc.Reset(&w)
	if err := enc.EncodeValue(reflect.ValueOf(&v).Elem()); err != nil {
		return dst, &codecError{kind: ErrUnencodable, reason: fmt.Sprintf("%T as msgpack", v), cause: err}
	}
	msgpack.PutEncoder(enc)
	return w.b, nil
}

func (c *msgpackCodec[V]) Decode(data []byte) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			var zero V
			v, err = zero, recovered(ErrUndecodable, p)
		}
	}()
	if err := msgscan.Scan(data); err != nil {
		return v, &codecError{kind: ErrUndecodable, reason: "it " + err.Error(), cause: err}
	}
	dec := msgpack.GetDecoder()
	dec.Reset(bytes.NewReader(data))
	dec.UseLooseInterfaceDecoding(true)
	if err := dec.DecodeValue(reflect.ValueOf(&v).Elem()); err != nil {
		var zero V
		return zero, &codecError{kind: ErrUndecodable, reason: fmt.Sprintf("no %T", v), cause: err}
	}
	msgpack.PutDecoder(dec)
	return v, nil
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
