package sizeof

import (
	"strings"
	"sync"
	"testing"
	"time"
)

type pair struct {
	name string
	next *pair
}

type guarded struct {
	mu   sync.Mutex
	data map[string]string
}

func TestOf(t *testing.T) {
	ring := &pair{name: "1234"}
	ring.next = ring
	shared := strings.Repeat("x", 1000)
	long := make([]string, 100_000)
	for i := range long {
		long[i] = shared
	}
	outer := &struct{ first pair }{pair{name: "1234"}}
	var nilPair *pair
	var sizer Sizer
	for _, tc := range []struct {
		name  string
		value any
		least int64
		most  int64
	}{
		{"nil", nil, 0, 0},
		{"typed nil", nilPair, 8, 8},
		{"int", 1, 8, 8},
		{"string", "1234", 20, 20},
		{"bytes count with their capacity", make([]byte, 1, 100), 124, 124},
		{"ints", make([]int, 10, 20), 24 + 160, 24 + 160},
		{"strings", []string{"12", "345"}, 24 + 32 + 5, 24 + 32 + 5},
		{"array", [2]string{"12", "345"}, 32 + 5, 32 + 5},
		{"pointer", &pair{name: "1234"}, 8 + 24 + 4, 8 + 24 + 4},
		{"a cycle counts once", ring, 8 + 24 + 4, 8 + 24 + 4},
		{"one pointer twice counts once", []*pair{ring, ring}, 24 + 16 + 24 + 4, 24 + 16 + 24 + 4},
		{"a struct is not its first field", []any{outer, &outer.first}, 24 + 32 + 8 + 28 + 8 + 28, 24 + 32 + 8 + 28 + 8 + 28},
		{"interfaces", []any{"1234", nil, 7}, 24 + 48 + 20 + 8, 24 + 48 + 20 + 8},
		{"map", map[string]string{"ab": "cd"}, 8 + 32 + 4, 8 + 60},
		{"map of numbers", map[int]int{1: 2, 3: 4}, 8 + 32, 8 + 60},
		{"a long slice is extrapolated", long, 95_000_000, 105_000_000},
		{"a location is not the value's", &struct{ at time.Time }{time.Now()}, 8 + 24, 8 + 24},
		{"what is guarded may change and is not followed", &guarded{data: map[string]string{"a": shared}}, 8 + 16, 8 + 16},
		{"functions", func() {}, 8, 8},
		{"channels", make(chan int, 100), 8, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := sizer.Of(tc.value); got < tc.least || got > tc.most {
				t.Errorf("got %d, want %d to %d", got, tc.least, tc.most)
			}
		})
	}
}

func TestOfIsBounded(t *testing.T) {
	var sizer Sizer
	var list *pair
	for range 1_000_000 {
		list = &pair{next: list}
	}
	matrix := make([][]string, 10_000)
	for i := range matrix {
		matrix[i] = make([]string, 10_000/10)
	}
	tree := map[string]any{}
	for range 1000 {
		tree = map[string]any{"a": tree, "b": []any{tree, tree}}
	}
	for name, v := range map[string]any{"list": list, "matrix": matrix, "tree": tree} {
		start := time.Now()
		if got := sizer.Of(v); got <= 0 {
			t.Errorf("%s: got %d", name, got)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// A guarded map may be written while it is weighed; following it would end the
// program.
func TestOfLeavesGuardedMapsAlone(t *testing.T) {
	g := &guarded{data: map[string]string{}}
	stop := make(chan struct{})
	var sizer Sizer
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			g.mu.Lock()
			g.data[string(rune('a'+i%26))] = "v"
			g.mu.Unlock()
		}
	})
	for range 10_000 {
		sizer.Of(g)
	}
	close(stop)
	wg.Wait()
}

func BenchmarkOf(b *testing.B) {
	type row struct {
		ID   int
		Name string
		Mail string
		At   time.Time
	}
	type tagged struct {
		Name string
		Tags []string
		At   time.Time
	}
	rows := make([]*row, 20)
	for i := range rows {
		rows[i] = &row{Name: "name"}
	}
	for _, bc := range []struct {
		name  string
		value any
	}{
		{"bytes", make([]byte, 100)},
		{"flat struct", &struct{ a, b int }{}},
		{"row", row{Name: "name"}},
		{"pointer to row", &row{Name: "name"}},
		{"pointer to struct with slice", &tagged{"name", []string{"a", "b", "c"}, time.Now()}},
		{"slice of pointers", rows},
		{"map of any", map[string]any{"id": 1, "name": "name", "tags": []any{"a", "b"}}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			var sizer Sizer
			b.ReportAllocs()
			for b.Loop() {
				sizer.Of(bc.value)
			}
		})
		b.Run(bc.name+" by reference", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				referenceOf(bc.value)
			}
		})
	}
}
