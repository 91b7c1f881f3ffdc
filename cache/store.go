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
	aging    *aging // nil: it is fresh until it is gone
}

// An Objects cache holds a V as it is, if V is a concrete type and the value
// does not age: then the type tells what is there. If V is an interface it holds
// an *object[V], since a nil V would be no object and any value might be a V; and
// so it does with a value that ages. nothing stands for what the source does not
// have.
type nothing struct{}

// found is what a look-up found.
type found uint8

const (
	atNothing found = iota
	atValue
	atNegative
	atUndecodable
	atAhead   // a value, to be refreshed although it is fresh
	atStale   // a value past its soft TTL
	atExpired // a value past its TTL, kept for when a load fails
)

// lookup reads key. Everything but a value and a negative entry is a miss to
// the caller.
//
// The usual hit is decided here, with as few calls and instructions as can be: a
// core then begins the next look-up while this one waits for memory.
func (t *Typed[V]) lookup(ctx context.Context, key string) (V, sight, error) {
	if !t.direct && !t.nearby || ctx == nil || t.shared.disabled.Load() || isMarked(ctx) {
		return t.lookupOtherwise(ctx, key)
	}
	if t.direct {
		held, ok, err := t.objects.GetObject(ctx, key)
		if v, is := held.(V); is && ok && err == nil {
			return v, sight{at: atValue}, nil
		}
		return t.judged(ctx, held, ok, err)
	}
	held, ok := t.near.GetNear(ctx, key)
	if v, is := held.(V); is && ok {
		return v, sight{at: atValue}, nil
	}
	return t.lookupFar(ctx, key, held, ok)
}

func (t *Typed[V]) lookupOtherwise(ctx context.Context, key string) (V, sight, error) {
	var zero V
	if t.configErr != nil {
		return zero, sight{}, t.configErr
	}
	if t.near != nil {
		return t.lookupNear(ctx, key)
	}
	if t.objects == nil {
		return t.lookupBytes(ctx, key)
	}
	if ctx != nil && t.bypassed(ctx) {
		return zero, sight{}, CheckKey(key)
	}
	held, ok, err := t.objects.GetObject(ctx, key)
	return t.judged(ctx, held, ok, err)
}

// judged tells what GetObject returned.
func (t *Typed[V]) judged(ctx context.Context, held any, ok bool, err error) (V, sight, error) {
	if !ok || err != nil {
		var zero V
		return zero, sight{}, err
	}
	value, seen := t.seen(held)
	if seen.at == atUndecodable {
		t.shared.noteUndecodable(ctx, errForeignObject)
	}
	return value, seen, nil
}

// seen tells what an object is that is held for a Typed.
func (t *Typed[V]) seen(held any) (value V, s sight) {
	if !t.abstract {
		if v, ok := held.(V); ok {
			return v, sight{at: atValue}
		}
	}
	if o, ok := held.(*object[V]); ok {
		return o.value, o.see()
	}
	if held == (any)(nothing{}) {
		return value, sight{at: atNegative}
	}
	return value, sight{at: atUndecodable}
}

// unhold is lookup for an object that was read, and what else is known of it.
func (t *Typed[V]) unhold(ctx context.Context, held any) (value V, etag string, s sight) {
	if held == (any)(nothing{}) {
		return value, "", sight{at: atNegative}
	}
	if o, ok := held.(*object[V]); ok {
		if o.aging != nil {
			etag = o.aging.etag
		}
		return o.value, etag, o.see()
	}
	if v, ok := held.(V); ok && !t.abstract {
		return v, "", sight{at: atValue}
	}
	t.shared.noteUndecodable(ctx, errForeignObject)
	return value, "", sight{at: atUndecodable}
}

// held returns o as an Objects cache holds it.
func (t *Typed[V]) held(o *object[V]) any {
	switch {
	case o.negative:
		return nothing{}
	case t.abstract || o.aging != nil:
		return o
	}
	return o.value
}

func (t *Typed[V]) lookupBytes(ctx context.Context, key string) (V, sight, error) {
	var zero V
	if ctx != nil && t.bypassed(ctx) {
		return zero, sight{}, CheckKey(key)
	}
	data, ok, err := t.get(ctx, key)
	if !ok || err != nil {
		return zero, sight{}, err
	}
	value, _, s := t.decode(ctx, data)
	return value, s, nil
}

// get reads the bytes under key, and with them the regions that they are known to
// depend on.
func (t *Typed[V]) get(ctx context.Context, key string) ([]byte, bool, error) {
	if tokens := t.opts.Defaults.Tokens; len(tokens) > 0 {
		return t.regions.GetUnder(ctx, key, tokens)
	}
	return t.cache.Get(ctx, key)
}

// decode tells what an encoded entry is. The etag is part of data.
func (t *Typed[V]) decode(ctx context.Context, data []byte) (value V, etag []byte, s sight) {
	value, w, s := t.decodeWritten(ctx, data)
	return value, w.etag, s
}

// decodeWritten is decode with all that is known of the value.
func (t *Typed[V]) decodeWritten(ctx context.Context, data []byte) (value V, w written, s sight) {
	payload, w, at, err := t.frame.open(data)
	if at == atValue {
		var v V
		if v, err = t.opts.Codec.Decode(payload); err == nil {
			return v, w, w.see()
		}
		at = atUndecodable
	}
	if at == atUndecodable {
		t.shared.noteUndecodable(ctx, err)
	}
	return value, written{}, sight{at: at}
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
	return t.opts.Codec.Append(t.frame.begin(o.aging), o.value)
}

// frame is what stands before an encoded value: one byte that says what
// follows, the id of its schema, and the life of a value that ages. So no encoded value ever has to mean
// "none", and bytes of another type are told apart before they are decoded.
type frame struct{ schema [8]byte }

const (
	frameValue    byte = 0x01
	frameNegative byte = 0x02
	frameAging    byte = 0x03
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

func (f frame) begin(a *aging) []byte {
	data := make([]byte, 0, 128)
	if a == nil {
		return append(append(data, frameValue), f.schema[:]...)
	}
	return a.appendTo(append(append(data, frameAging), f.schema[:]...))
}

func (f frame) negative() []byte { return append([]byte{frameNegative}, f.schema[:]...) }

// open returns what follows the frame in data.
func (f frame) open(data []byte) (payload []byte, w written, at found, err error) {
	if len(data) < frameLength || data[0] < frameValue || data[0] > frameAging {
		return nil, w, atUndecodable, errForeignFrame
	}
	if [8]byte(data[1:frameLength]) != f.schema {
		return nil, w, atUndecodable, errForeignSchema
	}
	payload = data[frameLength:]
	switch {
	case data[0] == frameValue:
		return payload, w, atValue, nil
	case data[0] == frameAging:
		if w, payload, err = readAging(payload); err != nil {
			return nil, w, atUndecodable, err
		}
		return payload, w, atValue, nil
	case len(payload) != 0:
		return nil, w, atUndecodable, errForeignFrame
	}
	return nil, w, atNegative, nil
}
