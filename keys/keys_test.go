package keys

import (
	"errors"
	"math"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

type sku string

type productID int64

type uuid [16]byte

func (u uuid) MarshalText() ([]byte, error) { return nil, errors.New("must not be called") }

type entity struct{ id string }

func (e entity) CacheKey() string { return e.id }

type pointerEntity struct{ id string }

func (e *pointerEntity) CacheKey() string { return e.id }

var someUUID = uuid{0x55, 0x0e, 0x84, 0, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0, 0}

func TestWith(t *testing.T) {
	n := 7
	var noInt *int
	var noBytes []byte
	for _, tc := range []struct {
		name  string
		parts []any
		want  string
	}{
		{"documented form", []any{"Product", "ByID", 42}, "Product-ByID-42"},
		{"no parts", nil, "%0"},
		{"empty text", []any{""}, "%e"},
		{"nil", []any{nil}, "%n"},
		{"nil pointer", []any{noInt}, "%n"},
		{"nil bytes", []any{noBytes}, "%n"},
		{"no bytes", []any{[]byte{}}, "%e"},
		{"empty texts", []any{"", "a", ""}, "%e-a-%e"},
		{"separator in a part", []any{"a-b", "c"}, "a%2Db-c"},
		{"escape in a part", []any{"%2D"}, "%252D"},
		{"hash tag", []any{"{a}b"}, "%7Ba%7Db"},
		{"list and record signs", []any{"[a|b=c]"}, "%5Ba%7Cb%3Dc%5D"},
		{"control characters", []any{"a\r\n\x00\x7f"}, "a%0D%0A%00%7F"},
		{"other signs", []any{"user:1", "a b", "*?", "../x", "é", "\xff"}, "user:1-a b-*?-../x-é-\xff"},
		{"reserved prefix", []any{"__larder__x", "__larder__x"}, "%5F_larder__x-__larder__x"},
		{"almost reserved", []any{"__larder_", "_"}, "__larder_-_"},
		{"the reserved prefix alone", []any{"__larder__"}, "%5F_larder__"},
		{"integers", []any{int8(1), int16(2), int32(3), int64(4), uint8(5), uint16(6), uint32(7), uint64(math.MaxUint64), uint(9)}, "1-2-3-4-5-6-7-18446744073709551615-9"},
		{"negative", []any{-5, int64(math.MinInt64)}, "%2D5-%2D9223372036854775808"},
		{"bools", []any{true, false}, "true-false"},
		{"floats", []any{0.1, float32(0.1), 42.0, 1e21, -1.5, math.Copysign(0, -1), math.NaN(), math.Inf(-1)}, "0.1-0.1-42-1e+21-%2D1.5-0-NaN-%2DInf"},
		{"bytes", []any{[]byte("a-b")}, "a%2Db"},
		{"uuid", []any{someUUID}, "550e8400%2De29b%2D41d4%2Da716%2D446655440000"},
		{"uuid as text", []any{"550e8400-e29b-41d4-a716-446655440000"}, "550e8400%2De29b%2D41d4%2Da716%2D446655440000"},
		{"array of bytes", []any{[3]byte{1, 0xab, 0}, [0]byte{}}, "01ab00-%e"},
		{"own types", []any{sku("a-1"), productID(42), time.Second}, "a%2D1-42-1000000000"},
		{"pointers", []any{&n, &someUUID}, "7-550e8400%2De29b%2D41d4%2Da716%2D446655440000"},
		{"time", []any{time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))}, "20260102T020405.000000006Z"},
		{"whole second", []any{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, "20260102T030405Z"},
		{"far time", []any{time.Unix(lastSecond+1, 5)}, "@253402300800.5"},
		{"early time", []any{time.Unix(firstSecond-1, 0)}, "@%2D62167219201.0"},
		{"part", []any{"a", Value([]int{1, 2})}, "a-[1|2]"},
		{"zero part", []any{Part{}}, "%n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := With(tc.parts...); got != tc.want {
				t.Errorf("With: got %q, want %q", got, tc.want)
			}
			if got, err := TryWith(tc.parts...); got != tc.want || err != nil {
				t.Errorf("TryWith: got %q, %v, want %q", got, err, tc.want)
			}
			if got := string(Append([]byte("x/"), tc.parts...)); got != "x/"+tc.want {
				t.Errorf("Append: got %q, want %q", got, "x/"+tc.want)
			}
			for i := range tc.parts {
				b := Bind(tc.parts[:i]...)
				if got := b.With(tc.parts[i:]...); got != tc.want {
					t.Errorf("bound to %d parts: got %q, want %q", i, got, tc.want)
				}
				if got := string(b.Append([]byte("x/"), tc.parts[i:]...)); got != "x/"+tc.want {
					t.Errorf("Append, bound to %d parts: got %q, want %q", i, got, "x/"+tc.want)
				}
			}
			for _, part := range tc.parts {
				if got, want := With(Value(part)), With(part); got != want {
					t.Errorf("as a Value: got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestWithRefusesPartsThatAreNotPlain(t *testing.T) {
	for _, tc := range []struct {
		name   string
		part   any
		reason string
	}{
		{"keyer", entity{"1"}, reasonOwnText},
		{"pointer that is a keyer", &pointerEntity{"1"}, reasonOwnText},
		{"value whose pointer is a keyer", pointerEntity{"1"}, reasonOwnText},
		{"text marshaler", netip.MustParseAddr("::1"), reasonOwnText},
		{"struct", struct{ A int }{1}, reasonNotText},
		{"list", []int{1}, reasonNotText},
		{"map", map[string]int{}, reasonNotText},
		{"function", func() {}, reasonRefused},
		{"channel", make(chan int), reasonRefused},
		{"complex", 1i, reasonRefused},
		{"address", uintptr(1), reasonRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			key, err := TryWith("a", tc.part)
			var unsupported *UnsupportedError
			if !errors.As(err, &unsupported) || unsupported.Reason != tc.reason || key != "" {
				t.Fatalf("got %q, %v, want an UnsupportedError: %s", key, err, tc.reason)
			}
			for name, call := range map[string]func(){
				"With":           func() { With("a", tc.part) },
				"Append":         func() { Append(nil, tc.part) },
				"Bind":           func() { Bind(tc.part) },
				"Builder.With":   func() { Bind("a").With(tc.part) },
				"Builder.Append": func() { Bind("a").Append(nil, tc.part) },
			} {
				if got, ok := panicOf(call).(error); !ok || got.Error() != err.Error() {
					t.Errorf("%s: got panic %v, want %v", name, got, err)
				}
			}
		})
	}
}

func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// Every two of these lists differ, so every two keys must.
func TestDistinctPartsNeverShareAKey(t *testing.T) {
	lists := [][]any{
		{}, {nil}, {""}, {"", ""}, {nil, nil}, {"%n"}, {"%e"}, {"%0"}, {"nil"}, {"-"}, {"--"}, {"a"}, {"a", ""}, {"", "a"},
		{"a", nil}, {nil, "a"}, {"a-"}, {"-a"}, {"a-", "b"}, {"a", "-b"}, {"a-b"}, {"a", "b"}, {"a", "b-c"}, {"a-b", "c"},
		{"a", "b", "c"}, {"a%2Db"}, {"a%2Db", "c"}, {"[a]"}, {Value([]string{"a"})}, {Value([]string{})},
		{Value([]string{""})}, {Value([]*string{nil})}, {Value([]string{"a", "b"})}, {Value([]string{"a|b"})},
		{Value([][]string{{"a"}, {"b"}})}, {Value([][]string{{"a", "b"}})}, {Value(map[string]string{})},
		{Value(map[string]string{"a": "b"})}, {Value([]string{"a=b"})}, {Value(map[string]string{"a": "b|c=d"})},
		{Value(map[string]string{"a": "b", "c": "d"})}, {"__larder__"}, {"%5F_larder__"}, {"_larder__"}, {"é"}, {"e\u0301"},
		{"A"}, {" a"}, {"a "}, {"a\x00"}, {1.5}, {1, 5}, {-1}, {"", 1}, {true}, {"True"}, {time.Unix(0, 0)}, {time.Unix(0, 1)},
		{strings.Repeat("a", 2000)}, {strings.Repeat("a", 2001)}, {With(strings.Repeat("a", 2000))},
	}
	seen := make(map[string]int)
	for i, parts := range lists {
		key := With(parts...)
		if j, ok := seen[key]; ok {
			t.Errorf("lists %d and %d: got one key %q", j, i, key)
		}
		seen[key] = i
		if key == "" || strings.HasPrefix(key, reservedPrefix) || len(key) > MaxLength {
			t.Errorf("list %d: got a key no cache takes: %q", i, key)
		}
	}
}

type filter struct {
	Page  int
	Color *string
	Tags  []string
	Range [2]int
	Since time.Time
	Skip  func() `key:"-"`
	none  int    `key:"-"`
}

type reordered struct {
	Since time.Time
	Range [2]int
	Tags  []string
	Color *string
	Page  int
}

func TestValue(t *testing.T) {
	red := "red-ish"
	for _, tc := range []struct {
		name  string
		value any
		want  string
	}{
		{"keyer", entity{"a-1"}, "a%2D1"},
		{"keyer by pointer", &pointerEntity{"7"}, "7"},
		{"value of a keyer by pointer", pointerEntity{"7"}, "7"},
		{"nil keyer", (*pointerEntity)(nil), "%n"},
		{"keyers in a list", []Keyer{entity{"1"}, &pointerEntity{"2"}, nil}, "[1|2|%n]"},
		{"text marshaler", netip.MustParseAddr("10.0.0.1"), "10.0.0.1"},
		{"struct", filter{Page: 2, Color: &red, Tags: []string{"x", "y"}, Range: [2]int{1, 9}, Since: time.Unix(0, 0), none: 1},
			"[Color=red%2Dish|Page=2|Range=[1|9]|Since=19700101T000000Z|Tags=[x|y]]"},
		{"zero struct", filter{}, "[Color=%n|Page=0|Range=[0|0]|Since=00010101T000000Z|Tags=%n]"},
		{"order of fields", reordered{Page: 2, Color: &red, Tags: []string{"x", "y"}, Range: [2]int{1, 9}, Since: time.Unix(0, 0)},
			"[Color=red%2Dish|Page=2|Range=[1|9]|Since=19700101T000000Z|Tags=[x|y]]"},
		{"no fields", struct{}{}, "[=]"},
		{"map", map[string]int{"b": 2, "a": 1, "": 0}, "[%e=0|a=1|b=2]"},
		{"empty map", map[string]int{}, "[=]"},
		{"nil map", map[string]int(nil), "%n"},
		{"empty list", []int{}, "[]"},
		{"mixed list", []any{1, "a", nil, 1.5, []byte("x"), someUUID}, "[1|a|%n|1.5|x|550e8400%2De29b%2D41d4%2Da716%2D446655440000]"},
		{"nested part", []Part{Value(1), {}}, "[1|%n]"},
		{"pointer to time", new(time.Unix(0, 0)), "19700101T000000Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := With(Value(tc.value)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

type ring struct{ Next *ring }

func TestValueRefuses(t *testing.T) {
	self := &ring{}
	self.Next = self
	wide := make([]any, 2)
	wide[0], wide[1] = wide, wide
	shared := any("x")
	for range maxDepth - 2 {
		shared = []any{shared, shared} // 2 to the 62 texts
	}
	for _, tc := range []struct {
		name   string
		value  any
		reason string
	}{
		{"cycle", self, reasonNesting},
		{"list that holds itself", wide, reasonNesting},
		{"shared values that explode", shared, reasonTooLong},
		{"long text", strings.Repeat("x", maxPartLength+1), reasonTooLong},
		{"field that is not exported", struct{ secret int }{1}, "has a field that is not exported: secret"},
		{"such a field in a map", map[string]any{"a": struct{ b int }{}}, "has a field that is not exported: b"},
		{"function", struct{ F func() }{func() {}}, reasonRefused},
		{"nil function", struct{ F func() }{}, reasonRefused},
		{"channel", make(chan int), reasonRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := TryValue(tc.value)
			var unsupported *UnsupportedError
			if !errors.As(err, &unsupported) || unsupported.Reason != tc.reason {
				t.Fatalf("got %v, want an UnsupportedError: %s", err, tc.reason)
			}
			if got, ok := panicOf(func() { Value(tc.value) }).(error); !ok || got.Error() != err.Error() {
				t.Errorf("got panic %v, want %v", got, err)
			}
		})
	}
}

func TestValueReportsTheErrorOfMarshalText(t *testing.T) {
	if _, err := TryValue(badText{}); !errors.Is(err, errBadText) {
		t.Errorf("got %v, want %v", err, errBadText)
	}
}

type badText struct{}

var errBadText = errors.New("bad text")

func (badText) MarshalText() ([]byte, error) { return nil, errBadText }

func TestQuery(t *testing.T) {
	for _, tc := range []struct {
		raw  string
		opts *QueryOptions
		want string
	}{
		{"", nil, "[=]"},
		{"q=books&page=2", nil, "[page=2|q=books]"},
		{"page=2&q=books", nil, "[page=2|q=books]"},
		{"tag=b&tag=a&q=", nil, "[q=%e|tag=[a|b]]"},
		{"tag=a&tag=a", nil, "[tag=[a|a]]"},
		{"tag=%5Ba%7Cb%5D", nil, "[tag=%5Ba%7Cb%5D]"},
		{"Q=Books&q=ASK", nil, "[Q=Books|q=ASK]"},
		{"Q=Books&q=ASK", &QueryOptions{Fold: true}, "[q=[ask|books]]"},
		{"Q=Books", &QueryOptions{}, "[Q=Books]"},
	} {
		part, err := ParseQuery(tc.raw, tc.opts)
		if got := With(part); err != nil || got != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.raw, got, err, tc.want)
		}
	}
	if got := With(Query(url.Values{"a": nil}, nil)); got != "[a=[]]" {
		t.Errorf("parameter without values: got %q", got)
	}
	if _, err := ParseQuery("a=%zz", nil); err == nil {
		t.Error("got no error for a malformed query")
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "ABCxyz-1": "abcxyz-1", "\u212A": "k", "ΣΑΣ": "σασ", "ς": "σ", "İ": "İ", "ı": "ı", "\xffA": "\xffa", "ÅÅ": "åå",
	} {
		if got := Fold(text); got != want {
			t.Errorf("Fold(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestLongKeysAreShortened(t *testing.T) {
	at := With(strings.Repeat("a", MaxLength))
	if at != strings.Repeat("a", MaxLength) {
		t.Errorf("a key of the limit was shortened to %q", at)
	}
	over := With("Product", strings.Repeat("a", MaxLength))
	if len(over) != shortPrefix+digestLength || !strings.HasPrefix(over, "Product-aaa") || over[shortPrefix:shortPrefix+2] != tagDigest {
		t.Errorf("got %q", over)
	}
	if again := With(over); again == over {
		t.Error("a text equals a shortened key")
	}
	inside := With(strings.Repeat("a", shortPrefix-1) + strings.Repeat("é", MaxLength))
	if want := strings.Repeat("a", shortPrefix-1) + tagDigest; !strings.HasPrefix(inside, want) {
		t.Errorf("got %q, want it cut before the letter", inside)
	}
	hidden := With("\x80" + strings.Repeat("\x80", MaxLength))
	if len(hidden) > MaxLength {
		t.Errorf("got %d bytes", len(hidden))
	}
	if got := string(Append([]byte("x"), strings.Repeat("a", MaxLength))); got != "x"+at {
		t.Errorf("what dst held was counted: got %d bytes", len(got))
	}
	if raw := strings.Repeat("r", MaxLength); Shorten(raw) != raw {
		t.Error("Shorten changed a key of the limit")
	}
	raw := Shorten(strings.Repeat("r", MaxLength+1))
	if len(raw) > MaxLength || Shorten(raw) == raw {
		t.Errorf("a raw key equals a shortened one: %q", raw)
	}
}
