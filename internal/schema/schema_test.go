package schema_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/schema"
)

type item struct {
	A int
	B string `json:"b"`
}

// The same struct in other packages is stood for by types in functions: they
// have the same name, and are different types.
func copyOfItem() reflect.Type {
	type item struct {
		A int
		B string `json:"b"`
	}
	return reflect.TypeFor[item]()
}

func reorderedItem() reflect.Type {
	type item struct {
		B string `json:"b"`
		A int
	}
	return reflect.TypeFor[item]()
}

func hiddenFieldItem() reflect.Type {
	type item struct {
		A     int
		B     string `json:"b"`
		cache int
		_     [8]byte
	}
	return reflect.TypeOf(item{cache: 1})
}

func otherTagItem() reflect.Type {
	type item struct {
		A int
		B string `json:"bb"`
	}
	return reflect.TypeFor[item]()
}

func untaggedItem() reflect.Type {
	type item struct {
		A int
		B string
	}
	return reflect.TypeFor[item]()
}

func msgpackTagItem() reflect.Type {
	type item struct {
		A int
		B string `json:"b" msgpack:"b"`
	}
	return reflect.TypeFor[item]()
}

func unrelatedTagItem() reflect.Type {
	type item struct {
		A int    `db:"a"`
		B string `json:"b" validate:"required"`
	}
	return reflect.TypeFor[item]()
}

func widerItem() reflect.Type {
	type item struct {
		A int64
		B string `json:"b"`
	}
	return reflect.TypeFor[item]()
}

func renamedFieldItem() reflect.Type {
	type item struct {
		AA int
		B  string `json:"b"`
	}
	return reflect.TypeFor[item]()
}

func longerItem() reflect.Type {
	type item struct {
		A int
		B string `json:"b"`
		C bool
	}
	return reflect.TypeFor[item]()
}

func deepItem(inner any) reflect.Type {
	return reflect.StructOf([]reflect.StructField{{Name: "Inner", Type: reflect.TypeOf(inner)}})
}

func arrayItem() reflect.Type {
	type item struct {
		_msgpack struct{} `msgpack:",as_array"`
		A        int
		B        string
	}
	return reflect.TypeOf(item{_msgpack: struct{}{}})
}

func reorderedArrayItem() reflect.Type {
	type item struct {
		_msgpack struct{} `msgpack:",as_array"`
		B        string
		A        int
	}
	return reflect.TypeOf(item{_msgpack: struct{}{}})
}

type renamed struct {
	A int
	B string `json:"b"`
}

type tree struct {
	Value int
	Left  *tree
	More  []tree
}

func copyOfTree() reflect.Type {
	type tree struct {
		Value int
		Left  *tree
		More  []tree
	}
	return reflect.TypeFor[tree]()
}

func otherTree() reflect.Type {
	type tree struct {
		Value int
		Left  *tree
		More  []*tree
	}
	return reflect.TypeFor[tree]()
}

type page[T any] struct{ Items []T }

type embeds struct{ item }

type holds struct{ Item item }

type moment time.Time

func (moment) MarshalText() ([]byte, error) { return nil, nil }

type instant time.Time

func (instant) MarshalText() ([]byte, error) { return nil, nil }

type ownJSON struct{}

func (ownJSON) MarshalJSON() ([]byte, error) { return nil, nil }

func ownJSONInt() reflect.Type {
	type own struct {
		ownJSON
		A int
	}
	return reflect.TypeFor[own]()
}

func ownJSONString() reflect.Type {
	type own struct {
		ownJSON
		A string
	}
	return reflect.TypeFor[own]()
}

func TestIDIsTheSame(t *testing.T) {
	tests := []struct {
		name string
		a, b reflect.Type
	}{
		{"copy in another place", reflect.TypeFor[item](), copyOfItem()},
		{"order of fields", reflect.TypeFor[item](), reorderedItem()},
		{"unexported fields", reflect.TypeFor[item](), hiddenFieldItem()},
		{"tags of others", reflect.TypeFor[item](), unrelatedTagItem()},
		{"recursive", reflect.TypeFor[tree](), copyOfTree()},
		{"slices of copies", reflect.TypeFor[[]item](), reflect.SliceOf(copyOfItem())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a, b := schema.ID("msgpack", tt.a), schema.ID("msgpack", tt.b); a != b {
				t.Errorf("got %x and %x, want one number", a, b)
			}
		})
	}
}

func TestIDDiffers(t *testing.T) {
	types := []reflect.Type{
		reflect.TypeFor[item](), otherTagItem(), untaggedItem(), msgpackTagItem(), widerItem(),
		renamedFieldItem(), longerItem(), arrayItem(), reorderedArrayItem(), reflect.TypeFor[renamed](),
		reflect.TypeFor[*item](), reflect.TypeFor[[]item](), reflect.TypeFor[[3]item](), reflect.TypeFor[[4]item](),
		reflect.TypeFor[map[string]item](), reflect.TypeFor[map[int]item](), reflect.TypeFor[map[item]string](),
		reflect.TypeFor[tree](), otherTree(), reflect.TypeFor[embeds](), reflect.TypeFor[holds](),
		deepItem(item{}), reflect.StructOf([]reflect.StructField{{Name: "Inner", Type: widerItem()}}),
		reflect.TypeFor[page[int]](), reflect.TypeFor[page[item]](), reflect.TypeFor[page[renamed]](),
		reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[time.Duration](), reflect.TypeFor[time.Time](),
		reflect.TypeFor[moment](), reflect.TypeFor[instant](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
		reflect.TypeFor[any](), reflect.TypeFor[[]any](), reflect.TypeFor[struct{}](), reflect.TypeFor[struct{ A int }](),
		reflect.TypeFor[struct{ A, B int }](), reflect.TypeFor[struct{ A struct{ B int } }](),
	}
	seen := make(map[uint64]reflect.Type)
	for _, codec := range []string{"msgpack", "json"} {
		for _, typ := range types {
			id := schema.ID(codec, typ)
			if other, ok := seen[id]; ok {
				t.Errorf("%s of %v: got %x, the number of %v as well", codec, typ, id, other)
			}
			seen[id] = typ
		}
	}
}

func TestIDLooksIntoTypesWhoseCodeIsForAnotherCodec(t *testing.T) {
	a, b := ownJSONInt(), ownJSONString()
	if schema.ID("msgpack", a) == schema.ID("msgpack", b) {
		t.Error("msgpack: got one number for structs of unlike fields, want two")
	}
	if schema.ID("json", a) != schema.ID("json", b) {
		t.Error("JSON: got two numbers for one name that encodes itself, want one")
	}
}

// Entries outlive the process that wrote them: a change here makes every entry
// in every cache a miss.
func TestIDIsStable(t *testing.T) {
	tests := []struct {
		codec string
		typ   reflect.Type
		want  uint64
	}{
		{"msgpack", reflect.TypeFor[item](), 0x63ac6f415f2dec18},
		{"json", reflect.TypeFor[map[string][]*tree](), 0x6164e5d14c35e936},
		{"msgpack", reflect.TypeFor[page[time.Time]](), 0x5b2ef8efa89efce7},
	}
	for _, tt := range tests {
		if got := schema.ID(tt.codec, tt.typ); got != tt.want {
			t.Errorf("%s of %v: got %#x, want %#x", tt.codec, tt.typ, got, tt.want)
		}
	}
}

func BenchmarkID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		schema.ID("msgpack", reflect.TypeFor[tree]())
	}
}
