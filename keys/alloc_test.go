package keys

import (
	"strings"
	"testing"
	"time"
)

type product struct{ ID int64 }

// The arguments are variables, so that the compiler cannot place them among the
// constants, and large, so that the runtime has no box for them at hand.
func TestAllocations(t *testing.T) {
	id, small, text := int64(1)<<40, uint8(200), strings.Repeat("x", 40)
	at, bytes, own := time.Unix(1<<31, 5), []byte("bytes"), productID(1<<40)
	part := Value([]int{1, 2, 3})
	bound := For[product]("ByID")
	buf := make([]byte, 0, 4096)
	long := strings.Repeat("y", 2*MaxLength)
	var key string
	for _, tc := range []struct {
		name string
		want float64
		call func()
	}{
		{"With, string and integers", 1, func() { key = With("Product", "ByID", id, small, text) }},
		{"With, escaped", 1, func() { key = With("Product", "By-ID", -id) }},
		{"With, other plain parts", 1, func() { key = With(at, bytes, own, part, 1.5, true, someUUID, &id, nil) }},
		{"TryWith", 1, func() { key, _ = TryWith("Product", "ByID", id) }},
		{"Builder.With", 1, func() { key = bound.With(id, text) }},
		{"Append", 0, func() { buf = Append(buf[:0], "Product", "ByID", id, text, at, own) }},
		{"Append, shortened", 0, func() { buf = Append(buf[:0], "Product", long) }},
		{"Builder.Append", 0, func() { buf = bound.Append(buf[:0], id, text) }},
	} {
		if got := testing.AllocsPerRun(100, tc.call); got != tc.want {
			t.Errorf("%s: got %v allocations, want %v", tc.name, got, tc.want)
		}
	}
	_ = key
}

func BenchmarkWith(b *testing.B) {
	id := int64(1) << 40
	for b.Loop() {
		_ = With("Product", "ByID", id)
	}
}

func BenchmarkBuilderAppend(b *testing.B) {
	id := int64(1) << 40
	bound := For[product]("ByID")
	buf := make([]byte, 0, 64)
	for b.Loop() {
		buf = bound.Append(buf[:0], id)
	}
}
