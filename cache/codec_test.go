package cache_test

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
)

type codecBase struct {
	ID      int64
	Created time.Time
}

type codecProduct struct {
	codecBase
	Name     string
	Price    float64
	Stock    uint16
	Wait     time.Duration
	Tags     []string
	Blob     []byte
	Token    [16]byte
	Parts    map[string]codecPart
	Owner    *codecPart
	Any      any
	More     map[string]any
	List     []any
	Addr     netip.Addr
	Optional []int `msgpack:",omitempty" json:",omitempty"`
}

type codecPart struct {
	A int8
	B []int32
	C *string
}

type codecNode struct {
	Value       int
	Left, Right *codecNode
}

type (
	codecText  string
	codecBytes []byte
)

type codecArray struct {
	_msgpack struct{} `msgpack:",as_array"` //lint:ignore U1000 msgpack looks for it
	A        int
	B        []string
}

func pointer[T any](v T) *T { return &v }

func fullProduct() codecProduct {
	return codecProduct{
		codecBase: codecBase{ID: math.MinInt64, Created: time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.UTC)},
		Name:      "tea \x00 \u2028 <&> \ufffd", Price: -0.1, Stock: math.MaxUint16, Wait: -time.Nanosecond,
		Tags: []string{"", "x"}, Blob: []byte{0, 255}, Token: [16]byte{15: 1},
		Parts: map[string]codecPart{"": {}, "x": {A: -128, B: []int32{}, C: pointer("")}},
		Owner: &codecPart{A: 127}, Any: "text", More: map[string]any{"a": nil, "b": true, "c": []any{}, "d": map[string]any{}},
		List: []any{"x", nil}, Addr: netip.MustParseAddr("::1"),
	}
}

// inUTC undoes what a codec may change: the zone in which a time is given.
func inUTC(v any) {
	if p, ok := v.(*codecProduct); ok {
		p.Created = p.Created.UTC()
	}
}

func testRoundTrip[V any](t *testing.T, name string, v V) {
	t.Helper()
	for _, c := range []cache.Codec[V]{cache.Msgpack[V](), cache.JSON[V]()} {
		t.Run(c.ID()+"/"+name, func(t *testing.T) {
			out, err := c.Append([]byte("before"), v)
			if err != nil {
				t.Fatalf("Append: got error %v (%v), want none", err, errors.Unwrap(err))
			}
			if string(out[:6]) != "before" {
				t.Fatalf("Append: got prefix %q, want it as it was", out[:6])
			}
			data := out[6:]
			got, err := c.Decode(data)
			if err != nil {
				t.Fatalf("Decode: got error %v, want none; data %x", err, data)
			}
			clear(data) // the value must not share its memory
			inUTC(&got)
			if !reflect.DeepEqual(got, v) {
				t.Fatalf("round trip: got %#v, want %#v", got, v)
			}
		})
	}
}

func TestCodecsRoundTrip(t *testing.T) {
	testRoundTrip(t, "zero struct", codecProduct{codecBase: codecBase{Created: time.Time{}}})
	testRoundTrip(t, "full struct", fullProduct())
	testRoundTrip(t, "struct as array", codecArray{A: 1, B: []string{}})
	testRoundTrip[*codecProduct](t, "nil pointer", nil)
	testRoundTrip(t, "pointer to zero", &codecPart{})
	testRoundTrip(t, "pointer to pointer", pointer(pointer(7)))
	testRoundTrip(t, "tree", codecNode{1, &codecNode{Value: 2}, nil})
	testRoundTrip[[]int](t, "nil slice", nil)
	testRoundTrip(t, "empty slice", []int{})
	testRoundTrip[[]string](t, "nil strings", nil)
	testRoundTrip(t, "empty strings", []string{})
	testRoundTrip[[]byte](t, "nil bytes", nil)
	testRoundTrip(t, "empty bytes", []byte{})
	testRoundTrip[codecBytes](t, "nil named bytes", nil)
	testRoundTrip(t, "named bytes", codecBytes("x"))
	testRoundTrip[map[string]int](t, "nil map", nil)
	testRoundTrip(t, "empty map", map[string]int{})
	testRoundTrip[map[string]string](t, "nil strings map", nil)
	testRoundTrip(t, "empty strings map", map[string]string{})
	testRoundTrip[map[string]any](t, "nil any map", nil)
	testRoundTrip(t, "empty any map", map[string]any{})
	testRoundTrip[any](t, "nil any", nil)
	testRoundTrip(t, "map of bools", map[string]bool{"x": true, "": false})
	testRoundTrip(t, "map by int", map[int16]string{-5: "x"})
	testRoundTrip(t, "map by address", map[netip.Addr]bool{netip.MustParseAddr("10.0.0.1"): true})
	testRoundTrip(t, "set", map[string]struct{}{"x": {}})
	testRoundTrip(t, "nested nils", [][]int{nil, {}, {0}})
	testRoundTrip(t, "slice of pointers", []*int{nil, pointer(0)})
	testRoundTrip(t, "slice of structs", []codecPart{{}, {B: []int32{math.MinInt32}}})
	testRoundTrip(t, "empty string", "")
	testRoundTrip(t, "named string", codecText("x"))
	testRoundTrip(t, "false", false)
	testRoundTrip(t, "zero", 0)
	testRoundTrip(t, "int64", int64(math.MaxInt64))
	testRoundTrip(t, "uint64", uint64(math.MaxUint64))
	testRoundTrip(t, "int8", int8(-128))
	testRoundTrip(t, "float32", float32(0.1))
	testRoundTrip(t, "smallest float", math.SmallestNonzeroFloat64)
	testRoundTrip(t, "duration", 90*time.Minute)
	testRoundTrip(t, "byte array", [16]byte{1, 15: 2})
	testRoundTrip(t, "array", [3]string{"", "x"})
	testRoundTrip(t, "zero time", time.Time{})
	testRoundTrip[*time.Time](t, "pointer to no time", nil)
}

func TestCodecsKeepTheInstantOfATime(t *testing.T) {
	now := time.Now().In(time.FixedZone("elsewhere", 3600))
	for _, c := range []cache.Codec[time.Time]{cache.Msgpack[time.Time](), cache.JSON[time.Time]()} {
		data, err := c.Append(nil, now)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(data)
		if err != nil || !got.Equal(now) {
			t.Errorf("%s: got %v, %v, want %v", c.ID(), got, err, now)
		}
	}
}

func TestMsgpackKeepsStructsAsKeys(t *testing.T) {
	type key struct {
		A [2]string
		B int8
	}
	want := map[key]any{{A: [2]string{"x", ""}, B: -1}: "y", {}: nil}
	c := cache.Msgpack[map[key]any]()
	data, err := c.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Decode(data); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestMsgpackKeepsNaN(t *testing.T) {
	c := cache.Msgpack[[]float64]()
	data, err := c.Append(nil, []float64{math.NaN(), math.Inf(-1)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(data)
	if err != nil || len(got) != 2 || !math.IsNaN(got[0]) || !math.IsInf(got[1], -1) {
		t.Errorf("got %v, %v, want NaN and -Inf", got, err)
	}
}

func TestMsgpackWidensNumbersInAny(t *testing.T) {
	type holder struct {
		One  any
		Many []any
		Map  map[string]any
		Deep map[string][]any
		Ptr  *any
	}
	in := holder{
		One:  200,
		Many: []any{5, uint8(5), int16(-300), uint64(math.MaxUint64), float32(0.5), int64(1)<<53 + 1, uint(70000)},
		Map:  map[string]any{"a": []any{int8(1)}, "b": map[string]any{"c": uint32(9)}, "d": []byte{1}, "e": time.Unix(1, 2)},
		Deep: map[string][]any{"x": {uint16(1)}},
		Ptr:  pointer[any](int32(3)),
	}
	want := holder{
		One:  int64(200),
		Many: []any{int64(5), int64(5), int64(-300), uint64(math.MaxUint64), 0.5, int64(1)<<53 + 1, int64(70000)},
		Map:  map[string]any{"a": []any{int64(1)}, "b": map[string]any{"c": int64(9)}, "d": []byte{1}, "e": time.Unix(1, 2)},
		Deep: map[string][]any{"x": {int64(1)}},
		Ptr:  pointer[any](int64(3)),
	}
	c := cache.Msgpack[holder]()
	data, err := c.Append(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v, want %#v", got, err, want)
	}
}

func TestJSONKeepsDigitsInAny(t *testing.T) {
	c := cache.JSON[any]()
	data, err := c.Append(nil, int64(1)<<53+1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Decode(data)
	if n, ok := got.(interface{ Int64() (int64, error) }); err != nil || !ok {
		t.Fatalf("got %T, %v, want a json.Number", got, err)
	} else if i, err := n.Int64(); i != 1<<53+1 || err != nil {
		t.Errorf("got %d, %v, want %d", i, err, int64(1)<<53+1)
	}
}

func TestBytesAndText(t *testing.T) {
	b := cache.Bytes()
	for _, v := range [][]byte{nil, {}, {0}, []byte("x")} {
		data, err := b.Append(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.Decode(data)
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("Bytes: got %#v, %v, want %#v", got, err, v)
		}
		if len(got) > 0 && &got[0] == &data[1] {
			t.Error("Bytes: the result shares memory with data")
		}
	}
	for _, data := range [][]byte{nil, {0, 0}, {2}, {255, 1}} {
		if _, err := b.Decode(data); !errors.Is(err, cache.ErrUndecodable) {
			t.Errorf("Bytes: Decode(%v): got error %v, want ErrUndecodable", data, err)
		}
	}
	for _, v := range []string{"", "x", "\xff\x00"} {
		data, err := cache.Text().Append([]byte("-"), v)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := cache.Text().Decode(data[1:]); err != nil || got != v {
			t.Errorf("Text: got %q, %v, want %q", got, err, v)
		}
	}
}

func TestCodecsMayBeSharedByGoroutines(t *testing.T) {
	for _, c := range []cache.Codec[codecProduct]{cache.Msgpack[codecProduct](), cache.JSON[codecProduct]()} {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				v := fullProduct()
				v.Name = strings.Repeat("x", 10*g)
				for range 50 {
					data, err := c.Append(nil, v)
					if err != nil {
						t.Errorf("%s: Append: %v", c.ID(), err)
						return
					}
					got, err := c.Decode(data)
					if inUTC(&got); err != nil || !reflect.DeepEqual(got, v) {
						t.Errorf("%s: got %v, %v, want %v", c.ID(), got, err, v)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}
