package cache_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/vmihailenco/msgpack/v5"
)

func testRefused[V any](t *testing.T, codec func() cache.Codec[V], name string, v V) {
	t.Helper()
	c := codec()
	t.Run(c.ID()+"/"+name, func(t *testing.T) {
		out, err := c.Append([]byte("before"), v)
		if !errors.Is(err, cache.ErrUnencodable) {
			t.Errorf("Append: got error %v, want ErrUnencodable", err)
		}
		if string(out) != "before" {
			t.Errorf("Append: got %q, want dst as it was", out)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Append: error %q tells of the content", err)
		}
	})
}

func testBothRefuse[V any](t *testing.T, name string, v V) {
	t.Helper()
	testRefused(t, cache.Msgpack[V], name, v)
	testRefused(t, cache.JSON[V], name, v)
}

type (
	hiddenOnly   struct{ secret string }
	selfPointer  *selfPointer
	embedsItself struct {
		*embedsItself //lint:ignore U1000 its being there is the point
		A             int
	}
	embedsPointer struct {
		*codecPart
		X int
	}
	EmbeddedPart       struct{ A int }
	embedsNamedPointer struct{ *EmbeddedPart }
	noinlinePointer    struct {
		*EmbeddedPart `msgpack:",noinline"`
	}
	twoOfOneName struct {
		EmbeddedPart
		A string
	}
	onlyEncodes struct{ A int }
	panics      struct{ A int }
	fails       struct{ A int }
	twoValues   struct{ A, B int }
	writesJunk  struct{ A int }
	linked      struct{ Next *linked }
	sparse      struct {
		A, B, C, D, E, F, G, H string `msgpack:",omitempty"`
	}
)

func (onlyEncodes) MarshalText() ([]byte, error) { return []byte("secret"), nil }

func (panics) MarshalBinary() ([]byte, error)             { panic("secret") }
func (*panics) UnmarshalBinary([]byte) error              { panic(errors.New("secret")) }
func (panics) MarshalJSON() ([]byte, error)               { panic("secret") }
func (*panics) UnmarshalJSON([]byte) error                { panic("secret") }
func (fails) MarshalBinary() ([]byte, error)              { return nil, errors.New("secret") }
func (*fails) UnmarshalBinary(b []byte) error             { return fmt.Errorf("secret: %w", io.ErrUnexpectedEOF) }
func (fails) MarshalJSON() ([]byte, error)                { return nil, errors.New("secret") }
func (*fails) UnmarshalJSON(b []byte) error               { return fmt.Errorf("secret: %w", io.ErrUnexpectedEOF) }
func (twoValues) EncodeMsgpack(e *msgpack.Encoder) error  { return e.EncodeMulti(1, 2) }
func (*twoValues) DecodeMsgpack(d *msgpack.Decoder) error { return nil }
func (writesJunk) MarshalMsgpack() ([]byte, error)        { return []byte{0xc1}, nil }
func (*writesJunk) UnmarshalMsgpack(b []byte) error       { return nil }

func TestCodecsRefuseWhatWouldNotComeBack(t *testing.T) {
	testBothRefuse(t, "channel", make(chan int))
	testBothRefuse(t, "function", struct{ F func() }{})
	testBothRefuse(t, "complex", []complex128{1})
	testBothRefuse(t, "unexported only", hiddenOnly{"secret"})
	testBothRefuse(t, "interface", struct{ W fmt.Stringer }{})
	testBothRefuse(t, "error", struct{ Err error }{io.EOF})
	testBothRefuse(t, "encodes but does not decode", onlyEncodes{})
	testBothRefuse(t, "interface keys", map[any]int{1: 1})
	testBothRefuse(t, "pointer keys", map[*int]int{})
	testBothRefuse(t, "time keys", map[time.Time]int{})
	testBothRefuse(t, "panic", panics{})
	testBothRefuse(t, "panic inside", []*panics{{}})
	testBothRefuse(t, "error of a marshaler", fails{})
	testBothRefuse(t, "channel in any", map[string]any{"a": make(chan int)})

	testRefused(t, cache.Msgpack[selfPointer], "pointer to itself", nil)
	testRefused(t, cache.Msgpack[embedsItself], "embeds itself", embedsItself{})
	testRefused(t, cache.Msgpack[embedsPointer], "embedded pointer", embedsPointer{})
	testRefused(t, cache.Msgpack[embedsNamedPointer], "embedded exported pointer", embedsNamedPointer{})
	testRefused(t, cache.Msgpack[twoOfOneName], "two of one name", twoOfOneName{A: "x"})
	testRefused(t, cache.Msgpack[**int], "pointer to nil pointer", new(*int))
	testRefused(t, cache.Msgpack[[]*[]int], "pointer to nil slice", []*[]int{new([]int)})
	testRefused(t, cache.Msgpack[map[[1]struct{ A any }]int], "interfaces inside keys", nil)
	testRefused(t, cache.Msgpack[twoValues], "two values", twoValues{})
	testRefused(t, cache.Msgpack[writesJunk], "junk", writesJunk{})
	testRefused[any](t, cache.Msgpack[any], "int keys in any", map[int]int{1: 1})
	testRefused(t, cache.Msgpack[[]sparse], "sparse", make([]sparse, 10_000))

	testRefused(t, cache.JSON[float64], "NaN", math.NaN())
	testRefused(t, cache.JSON[string], "not UTF-8", "a\xffb")
	testRefused(t, cache.JSON[string], "not UTF-8 after a backslash", "\\ufffd\\\xff")
}

func TestJSONKeepsTextThatLooksReplaced(t *testing.T) {
	testRoundTrip(t, "escape", `\ufffd`)
	testRoundTrip(t, "escaped escape", `\\ufffd`)
	testRoundTrip(t, "character", "\ufffd")
}

func TestMsgpackKeepsEmbeddedPointersThatAreNotInlined(t *testing.T) {
	for _, v := range []noinlinePointer{{}, {&EmbeddedPart{A: 1}}} {
		c := cache.Msgpack[noinlinePointer]()
		data, err := c.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(data)
		if err != nil || (got.EmbeddedPart == nil) != (v.EmbeddedPart == nil) || v.EmbeddedPart != nil && got.A != v.A {
			t.Errorf("got %v, %v, want %v", got, err, v)
		}
	}
}

func TestCodecsRefuseCycles(t *testing.T) {
	ring := &linked{}
	ring.Next = &linked{ring}
	testBothRefuse(t, "ring", ring)

	var knot any
	knot = &knot
	testBothRefuse(t, "any to itself", knot)

	list := []any{nil}
	list[0] = list
	testBothRefuse(t, "slice in itself", list)

	m := map[string]any{}
	m["self"] = m
	testBothRefuse(t, "map in itself", m)

	tangle := &codecNode{}
	tangle.Left, tangle.Right = tangle, tangle
	testBothRefuse(t, "tangle", tangle)
}

// A value without a cycle can still be endless for an encoder, which follows
// every path.
func TestMsgpackRefusesValuesOfTooManyPaths(t *testing.T) {
	v := &codecNode{}
	for range 40 {
		v = &codecNode{Left: v, Right: v}
	}
	testRefused(t, cache.Msgpack[*codecNode], "2^40 paths", v)
}

func chain(n int) *linked {
	var l *linked
	for range n {
		l = &linked{l}
	}
	return l
}

func TestCodecsRefuseDeepValues(t *testing.T) {
	testRoundTrip(t, "as deep as can be", chain(64))
	testRefused(t, cache.Msgpack[*linked], "too deep", chain(65))
	testRefused(t, cache.Msgpack[*linked], "far too deep", chain(1_000_000))
	testRefused(t, cache.JSON[*linked], "too deep", chain(10_001))
}

func testUndecodable[V any](t *testing.T, c cache.Codec[V], name string, data []byte) {
	t.Helper()
	t.Run(c.ID()+"/"+name, func(t *testing.T) {
		if _, err := c.Decode(data); !errors.Is(err, cache.ErrUndecodable) {
			t.Errorf("Decode: got error %v, want ErrUndecodable", err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("Decode: error %q tells of the content", err)
		}
	})
}

func TestCodecsRefuseForeignBytes(t *testing.T) {
	encode := func(v any) []byte {
		b, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	testUndecodable(t, cache.Msgpack[int8](), "integer too large", encode(int16(math.MaxInt16)))
	testUndecodable(t, cache.Msgpack[uint8](), "negative", encode(int16(-1)))
	testUndecodable(t, cache.Msgpack[int64](), "too large", encode(uint64(math.MaxUint64)))
	testUndecodable(t, cache.Msgpack[codecPart](), "nil", []byte{0xc0})
	testUndecodable(t, cache.Msgpack[int](), "nil", []byte{0xc0})
	testUndecodable(t, cache.Msgpack[codecPart](), "other struct", encode(struct{ X int }{1}))
	testUndecodable(t, cache.Msgpack[codecPart](), "missing field", encode(map[string]any{"A": 1}))
	testUndecodable(t, cache.Msgpack[codecPart](), "field twice", []byte("\x84\xa1A\x01\xa1A\x01\xa1B\xc0\xa1C\xc0"))
	testUndecodable(t, cache.Msgpack[[2]int](), "short array", encode([]int{1}))
	testUndecodable(t, cache.Msgpack[[16]byte](), "short bytes", encode([]byte("x")))
	testUndecodable(t, cache.Msgpack[any](), "slice as key", []byte{0x81, 0x90, 0x01})
	testUndecodable(t, cache.Msgpack[any](), "unknown ext", []byte{0xd4, 0x05, 0x00})
	testUndecodable(t, cache.Msgpack[string](), "trailing", append(encode("x"), 0))
	testUndecodable(t, cache.Msgpack[panics](), "panic", encode([]byte("x")))
	testUndecodable(t, cache.Msgpack[fails](), "error", encode([]byte("x")))
	testUndecodable(t, cache.Msgpack[hiddenOnly](), "refused type", []byte{0x80})

	testUndecodable(t, cache.JSON[int](), "null", []byte(" null "))
	testUndecodable(t, cache.JSON[int8](), "too large", []byte("300"))
	testUndecodable(t, cache.JSON[int](), "trailing", []byte("1 2"))
	testUndecodable(t, cache.JSON[int](), "trailing junk", []byte("1x"))
	testUndecodable(t, cache.JSON[int](), "other type", []byte(`"secret"`))
	testUndecodable(t, cache.JSON[[]int](), "half", []byte(`[1,`))
	testUndecodable(t, cache.JSON[any](), "deep", bytes.Repeat([]byte("["), 2<<20))
	testUndecodable(t, cache.JSON[panics](), "panic", []byte("1"))
	testUndecodable(t, cache.JSON[fails](), "error", []byte("1"))
	testUndecodable(t, cache.JSON[hiddenOnly](), "refused type", []byte("{}"))
}

func TestCodecErrorsKeepTheirCause(t *testing.T) {
	data, err := msgpack.Marshal([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Msgpack[fails]().Decode(data); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v, want one that matches what UnmarshalBinary returned", err)
	}
	var syntax *json.SyntaxError
	if _, err := cache.JSON[int]().Decode([]byte("x")); !errors.As(err, &syntax) {
		t.Errorf("got error %v, want a *json.SyntaxError inside", err)
	}
}

// testCorrupted decodes every truncation and every single flipped bit of an
// encoding. A flip may be another value; the envelope's checksum is what finds
// that.
func testCorrupted[V any](t *testing.T, c cache.Codec[V], v V) {
	t.Helper()
	data, err := c.Append(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	try := func(data []byte) error {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Decode(data)
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(64*len(data)+2<<20) {
			t.Errorf("%s: %x: allocated %d bytes", c.ID(), data, used)
		}
		if err != nil && !errors.Is(err, cache.ErrUndecodable) {
			t.Errorf("%s: %x: got error %v, want ErrUndecodable", c.ID(), data, err)
		}
		return err
	}
	for i := range data {
		if err := try(data[:i]); err == nil {
			t.Errorf("%s: decoded the first %d bytes of %d", c.ID(), i, len(data))
		}
		for bit := range 8 {
			flipped := bytes.Clone(data)
			flipped[i] ^= 1 << bit
			_ = try(flipped)
		}
	}
}

func TestCodecsSurviveCorruptedBytes(t *testing.T) {
	testCorrupted(t, cache.Msgpack[codecProduct](), fullProduct())
	testCorrupted(t, cache.JSON[codecProduct](), fullProduct())
	testCorrupted(t, cache.Msgpack[*codecNode](), &codecNode{1, &codecNode{Value: 2}, &codecNode{Value: 300}})
	testCorrupted[any](t, cache.Msgpack[any](), map[string]any{"a": []any{1, "x", nil, map[string]any{"b": []byte("y")}}})
	testCorrupted(t, cache.Msgpack[codecArray](), codecArray{A: 70000, B: []string{"x"}})
}

func fuzzCodec[V any](f *testing.F, c cache.Codec[V], seeds ...V) {
	for _, v := range seeds {
		data, err := c.Append(nil, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := c.Decode(data)
		if err != nil {
			if !errors.Is(err, cache.ErrUndecodable) {
				t.Errorf("Decode: got error %v, want ErrUndecodable", err)
			}
			return
		}
		again, err := c.Append(nil, v)
		if err != nil {
			t.Fatalf("Append of what was decoded: %v", err)
		}
		if _, err := c.Decode(again); err != nil {
			t.Errorf("Decode of that: %v", err)
		}
	})
}

func FuzzMsgpackDecode(f *testing.F) {
	fuzzCodec(f, cache.Msgpack[codecProduct](), codecProduct{}, fullProduct())
}

func FuzzJSONDecode(f *testing.F) {
	fuzzCodec(f, cache.JSON[codecProduct](), codecProduct{}, fullProduct())
}
