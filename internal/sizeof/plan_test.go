package sizeof

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// Plans change how fast the answer comes, never the answer.
func TestOfAgreesWithReference(t *testing.T) {
	var sizer Sizer
	for seed := range uint64(2000) {
		g := generator{Rand: rand.New(rand.NewPCG(seed, 0)), made: map[reflect.Type][]reflect.Value{}}
		typ := g.typ(4)
		for range 3 {
			v := reflect.New(typ).Elem()
			g.fill(v, 12)
			got, want := sizer.Of(v.Interface()), referenceOf(v.Interface())
			if got != want {
				t.Fatalf("seed %d, type %v: got %d, want %d", seed, typ, got, want)
			}
		}
	}
}

type node struct {
	Name     string
	Parent   *node
	Children []*node
	Self     any
	Named    map[string]*node
}

type lock struct {
	Mu   *sync.Mutex
	Data map[string]string
}

var leaves = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[any](), reflect.TypeFor[time.Time](), reflect.TypeFor[chan int](), reflect.TypeFor[func()](),
	reflect.TypeFor[struct{}](), reflect.TypeFor[lock](), reflect.TypeFor[node](), reflect.TypeFor[*node](),
}

// generator makes random types, and values of them that share pointers.
type generator struct {
	*rand.Rand
	made map[reflect.Type][]reflect.Value
}

func (g *generator) typ(depth int) reflect.Type {
	if depth == 0 {
		return leaves[g.IntN(len(leaves))]
	}
	switch g.IntN(7) {
	case 0:
		return reflect.PointerTo(g.typ(depth - 1))
	case 1:
		return reflect.SliceOf(g.typ(depth - 1))
	case 2:
		return reflect.ArrayOf(g.IntN(4), g.typ(depth-1))
	case 3:
		return reflect.MapOf(reflect.TypeFor[string](), g.typ(depth-1))
	case 4, 5:
		fields := make([]reflect.StructField, g.IntN(5))
		for i := range fields {
			fields[i] = reflect.StructField{Name: string(rune('A' + i)), Type: g.typ(depth - 1)}
		}
		return reflect.StructOf(fields)
	}
	return g.typ(0)
}

// fill sets v, with pointers up to depth. Maps get one pair at most, since the
// order of more would make the answer vary.
func (g *generator) fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat("x", g.IntN(20)))
	case reflect.Array:
		for i := range v.Len() {
			g.fill(v.Index(i), depth-1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Now()))
			return
		}
		for i := range v.NumField() {
			g.fill(v.Field(i), depth-1)
		}
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		g.link(v, depth)
	}
}

// link leaves v nil, or sets it to something new or to what it was before.
func (g *generator) link(v reflect.Value, depth int) {
	if depth <= 0 || g.IntN(5) == 0 {
		return
	}
	if before := g.made[v.Type()]; len(before) > 0 && g.IntN(3) == 0 {
		v.Set(before[g.IntN(len(before))])
		return
	}
	made := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		made.Set(reflect.New(v.Type().Elem()))
		g.made[v.Type()] = append(g.made[v.Type()], made) // may come to point to itself
		g.fill(made.Elem(), depth-1)
	case reflect.Slice:
		n := g.IntN(4)
		if g.IntN(20) == 0 {
			n = 50 // more than are looked at
		}
		made.Set(reflect.MakeSlice(v.Type(), n, n+g.IntN(3)))
		g.made[v.Type()] = append(g.made[v.Type()], made)
		for i := range min(n, 4) {
			g.fill(made.Index(i), depth-2)
		}
	case reflect.Map:
		made.Set(reflect.MakeMap(v.Type()))
		g.made[v.Type()] = append(g.made[v.Type()], made)
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		g.fill(key, depth-1)
		g.fill(elem, depth-1)
		made.SetMapIndex(key, elem)
	case reflect.Interface:
		held := reflect.New(g.typ(2)).Elem()
		g.fill(held, depth-1)
		made.Set(held)
	}
	v.Set(made)
}

func TestOfOfKnownTypesDoesNotAllocate(t *testing.T) {
	type row struct {
		ID   int
		Name string
		At   time.Time
		Tags []string
	}
	r := row{Name: "name", Tags: []string{"a", "b"}}
	for _, v := range []any{r, &r, []string{"a"}, []row{r}, []*row{&r, &r}, 7, map[int]int{1: 1}, &struct{ a, b int }{}} {
		var sizer Sizer
		if n := testing.AllocsPerRun(100, func() { sizer.Of(v) }); n != 0 {
			t.Errorf("%T: got %v allocations, want 0", v, n)
		}
	}
}

func TestPlansAreBounded(t *testing.T) {
	var sizer Sizer
	for n := range maxPlans * 3 / 4 { // each a type of its own that leads to one more
		v := reflect.New(reflect.ArrayOf(n, reflect.TypeFor[string]())).Elem().Interface()
		if got, want := sizer.Of(v), int64(16*n); got != want {
			t.Fatalf("array of %d: got %d, want %d", n, got, want)
		}
		if sizer.kept > maxPlans {
			t.Fatalf("got %d plans, want at most %d", sizer.kept, maxPlans)
		}
	}
	types := 0
	sizer.plans.Range(func(any, any) bool { types++; return true })
	if types == 0 || types > maxPlans/2 {
		t.Errorf("got %d types, want 1 to %d", types, maxPlans/2)
	}
}

func TestSizerIsSafeForConcurrentUse(t *testing.T) {
	values := make([]any, 2000)
	for n := range values {
		v := reflect.New(reflect.ArrayOf(n, reflect.TypeFor[*node]())).Elem()
		if n > 0 {
			v.Index(0).Set(reflect.ValueOf(&node{Name: "1234", Self: 7}))
		}
		values[n] = v.Interface()
	}
	var sizer Sizer
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, v := range values {
				if got, want := sizer.Of(v), referenceOf(v); got != want {
					t.Errorf("%T: got %d, want %d", v, got, want)
				}
			}
		})
	}
	wg.Wait()
}
