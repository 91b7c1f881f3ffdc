package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
)

// object is what a load brings: a value, or the knowledge that the source has
// none.
type object[V any] struct {
	value    V
	negative bool
}

// An Objects cache holds a V as it is, if V is a concrete type: then the type
// tells what is there. If V is an interface it holds an *object[V], since a nil
// V would be no object and any value might be a V. nothing stands for what the
// source does not have.
type nothing struct{}

// found is what a look-up found.
type found uint8

const (
	atNothing found = iota
	atValue
	atNegative
	atUndecodable
)

// lookup reads key. Everything but a value and a negative entry is a miss to
// the caller.
func (t *Typed[V]) lookup(ctx context.Context, key string) (V, found, error) {
	var zero V
	if t.configErr != nil {
		return zero, atNothing, t.configErr
	}
	if t.near != nil {
		return t.lookupNear(ctx, key)
	}
	if t.objects == nil {
		return t.lookupBytes(ctx, key)
	}
	if ctx != nil && t.bypassed(ctx) {
		return zero, atNothing, CheckKey(key)
	}
	held, ok, err := t.objects.GetObject(ctx, key)
	if !ok || err != nil {
		return zero, atNothing, err
	}
	value, at := t.seen(held)
	if at == atUndecodable {
		t.shared.noteUndecodable(ctx, errForeignObject)
	}
	return value, at, nil
}

// seen tells what an object is that is held for a Typed.
func (t *Typed[V]) seen(held any) (value V, at found) {
	if !t.abstract {
		if v, ok := held.(V); ok {
			return v, atValue
		}
	} else if o, ok := held.(*object[V]); ok {
		return o.value, atValue
	}
	if held == (any)(nothing{}) {
		return value, atNegative
	}
	return value, atUndecodable
}

// held returns o as an Objects cache holds it.
func (t *Typed[V]) held(o *object[V]) any {
	switch {
	case o.negative:
		return nothing{}
	case t.abstract:
		return o
	}
	return o.value
}

func (t *Typed[V]) lookupBytes(ctx context.Context, key string) (V, found, error) {
	var zero V
	if ctx != nil && t.bypassed(ctx) {
		return zero, atNothing, CheckKey(key)
	}
	data, ok, err := t.get(ctx, key)
	if !ok || err != nil {
		return zero, atNothing, err
	}
	return t.decode(ctx, data)
}

// get reads the bytes under key, and with them the regions that they are known to
// depend on.
func (t *Typed[V]) get(ctx context.Context, key string) ([]byte, bool, error) {
	if tokens := t.opts.Defaults.Tokens; len(tokens) > 0 {
		return t.regions.GetUnder(ctx, key, tokens)
	}
	return t.cache.Get(ctx, key)
}

func (t *Typed[V]) decode(ctx context.Context, data []byte) (V, found, error) {
	var zero V
	payload, at, err := t.frame.open(data)
	if at == atValue {
		var v V
		if v, err = t.opts.Codec.Decode(payload); err == nil {
			return v, atValue, nil
		}
		at = atUndecodable
	}
	if at == atUndecodable {
		t.shared.noteUndecodable(ctx, err)
	}
	return zero, at, nil
}

// put stores o under key.
func (t *Typed[V]) put(ctx context.Context, key string, o *object[V], opts EntryOptions) error {
	if t.objects != nil {
		return t.objects.SetObject(ctx, key, t.held(o), opts)
	}
	data, err := t.encode(o)
	if err != nil {
		return &OpError{Op: "encode", Key: key, Err: err}
	}
	return t.cache.Set(ctx, key, data, opts)
}

func (t *Typed[V]) encode(o *object[V]) ([]byte, error) {
	if o.negative {
		return t.frame.negative(), nil
	}
	return t.opts.Codec.Append(t.frame.begin(), o.value)
}

// frame is what stands before an encoded value: one byte that says what
// follows, and the id of its schema. So no encoded value ever has to mean
// "none", and bytes of another type are told apart before they are decoded.
type frame struct{ schema [8]byte }

const (
	frameValue    byte = 0x01
	frameNegative byte = 0x02
	frameLength        = 1 + 8
)

var (
	errForeignFrame  = errors.New("larder: not a typed entry")
	errForeignSchema = errors.New("larder: entry of another schema")
	errForeignObject = errors.New("larder: object of another type")
)

func newFrame(name string, derived uint64) frame {
	if name != "" {
		h := fnv.New64a()
		h.Write([]byte(name))
		derived = h.Sum64()
	}
	var f frame
	binary.BigEndian.PutUint64(f.schema[:], derived)
	return f
}

func (f frame) begin() []byte {
	return append(make([]byte, 0, 128), append([]byte{frameValue}, f.schema[:]...)...)
}

func (f frame) negative() []byte { return append([]byte{frameNegative}, f.schema[:]...) }

// open returns what follows the frame in data.
func (f frame) open(data []byte) ([]byte, found, error) {
	if len(data) < frameLength || data[0] != frameValue && data[0] != frameNegative {
		return nil, atUndecodable, errForeignFrame
	}
	if [8]byte(data[1:frameLength]) != f.schema {
		return nil, atUndecodable, errForeignSchema
	}
	payload := data[frameLength:]
	if data[0] == frameValue {
		return payload, atValue, nil
	}
	if len(payload) != 0 {
		return nil, atUndecodable, errForeignFrame
	}
	return nil, atNegative, nil
}
