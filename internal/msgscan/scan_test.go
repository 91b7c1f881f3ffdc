package msgscan_test

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/msgscan"
	"github.com/vmihailenco/msgpack/v5"
)

func nested(depth int) []byte {
	return append(bytes.Repeat([]byte{0x91}, depth), 0xc0)
}

// bombs are small encodings over which the decoder alone allocates gigabytes,
// overflows the stack or panics.
var bombs = []struct {
	name string
	data []byte
	want error
}{
	{"nothing", nil, msgscan.ErrTruncated},
	{"array of 4Gi", []byte{0xdd, 0xff, 0xff, 0xff, 0xff}, msgscan.ErrTruncated},
	{"map of 4Gi", []byte{0xdf, 0xff, 0xff, 0xff, 0xff}, msgscan.ErrTruncated},
	{"bin of 4Gi", []byte{0xc6, 0xff, 0xff, 0xff, 0xff}, msgscan.ErrTruncated},
	{"str of 4Gi", []byte{0xdb, 0xff, 0xff, 0xff, 0xff}, msgscan.ErrTruncated},
	{"ext of 4Gi", []byte{0xc9, 0xff, 0xff, 0xff, 0xff, 0xff}, msgscan.ErrTruncated},
	{"map of 64Mi in 4 bytes", []byte{0xdf, 0x04, 0, 0, 0, 1, 2, 3, 4}, msgscan.ErrTruncated},
	{"map with half a pair", []byte{0x81, 0xa1, 'x'}, msgscan.ErrTruncated},
	{"half a header", []byte{0xdd, 0}, msgscan.ErrTruncated},
	{"half a float", []byte{0xcb, 0, 0, 0}, msgscan.ErrTruncated},
	{"2 MB of arrays", bytes.Repeat([]byte{0x91}, 2_000_001), msgscan.ErrDeep},
	{"depth 65", nested(65), msgscan.ErrDeep},
	{"maps of depth 65", append(bytes.Repeat([]byte{0x81, 0xa0}, 65), 0xc0), msgscan.ErrDeep},
	{"slice as a key", []byte{0x81, 0x90, 0x01}, msgscan.ErrKey},
	{"nil as a key", []byte{0x81, 0xc0, 0x01}, msgscan.ErrKey},
	{"unused code", []byte{0xc1}, msgscan.ErrCode},
	{"trailing byte", []byte{0x01, 0x01}, msgscan.ErrTrailing},
	{"time of 3 bytes", []byte{0xc7, 3, 0xff, 0, 0, 0}, msgscan.ErrTime},
	{"time with a second of ns, 8 bytes", []byte{0xd7, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0}, msgscan.ErrTime},
	{"time with a second of ns, 12 bytes", []byte{0xc7, 12, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, msgscan.ErrTime},
}

func TestScanRefusesBombs(t *testing.T) {
	for _, bomb := range bombs {
		t.Run(bomb.name, func(t *testing.T) {
			if got := msgscan.Scan(bomb.data); !errors.Is(got, bomb.want) {
				t.Errorf("got %v, want %v", got, bomb.want)
			}
			if allocs := testing.AllocsPerRun(10, func() { _ = msgscan.Scan(bomb.data) }); allocs > 0 {
				t.Errorf("got %v allocations, want none", allocs)
			}
		})
	}
}

func TestScanAcceptsWhatTheEncoderWrites(t *testing.T) {
	values := []any{
		nil, true, 0, -1, -33, 127, 128, int64(1) << 40, int8(-5), uint64(1) << 63, float32(1), 2.5, "", "x",
		string(make([]byte, 40)), string(make([]byte, 300)), string(make([]byte, 70_000)),
		[]byte{}, make([]byte, 300), make([]byte, 70_000), []any{}, make([]int, 20), make([]string, 70_000),
		map[string]any{"a": []any{nil}}, time.Now(), time.Time{}, time.Unix(1, 0),
	}
	for _, v := range values {
		data, err := msgpack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := msgscan.Scan(data); err != nil {
			t.Errorf("%T: got %v, want nil", v, err)
		}
		if err := msgscan.Scan(data[:len(data)-1]); err == nil {
			t.Errorf("%T without its last byte: got nil, want an error", v)
		}
	}
	if err := msgscan.Scan(nested(64)); err != nil {
		t.Errorf("depth 64: got %v, want nil", err)
	}
}

type big struct {
	A, B, C, D, E, F, G, H [4]string
}

type optional struct {
	A, B, C, D, E, F, G, H string `msgpack:",omitempty"`
}

func shapeOf[T any](t testing.TB) *msgscan.Shape {
	t.Helper()
	s, err := msgscan.ShapeOf(reflect.TypeFor[T]())
	if err != nil {
		t.Fatalf("ShapeOf: got error %v, want none", err)
	}
	return s
}

func TestShapeBoundsWhatSmallElementsBecome(t *testing.T) {
	nils := append([]byte{0xdc, 0xff, 0xff}, bytes.Repeat([]byte{0xc0}, 65_535)...)
	if err := shapeOf[[]big](t).Scan(nils); !errors.Is(err, msgscan.ErrSparse) {
		t.Errorf("slice of nil structs: got %v, want ErrSparse", err)
	}
	empty := append([]byte{0xdc, 0xff, 0xff}, bytes.Repeat([]byte{0x80}, 65_535)...)
	if err := shapeOf[[]optional](t).Scan(empty); !errors.Is(err, msgscan.ErrSparse) {
		t.Errorf("slice of empty structs: got %v, want ErrSparse", err)
	}
	if !shapeOf[[]optional](t).Rescan {
		t.Error("slice of structs that may be empty: got Rescan false, want true")
	}
	if shapeOf[[]big](t).Rescan {
		t.Error("slice of structs that take their size: got Rescan true, want false")
	}
}

func TestShapeRefusesWithoutAllocating(t *testing.T) {
	s := shapeOf[map[string][]big](t)
	for _, bomb := range bombs {
		if err := s.Scan(bomb.data); err == nil {
			t.Errorf("%s: got nil, want an error", bomb.name)
		}
		if allocs := testing.AllocsPerRun(10, func() { _ = s.Scan(bomb.data) }); allocs > 0 {
			t.Errorf("%s: got %v allocations, want none", bomb.name, allocs)
		}
	}
}

func TestPlainTypesNeedNoWalk(t *testing.T) {
	type plain struct {
		A int
		B []string
		C map[string][]byte
		D *time.Time
		E [4]struct{ F float64 }
	}
	if s := shapeOf[plain](t); s.Walk || s.Rescan || s.Any {
		t.Errorf("got Walk %v, Rescan %v, Any %v, want none", s.Walk, s.Rescan, s.Any)
	}
	type list struct{ Next *list }
	if s := shapeOf[[]list](t); !s.Walk || s.Rescan {
		t.Errorf("recursive: got Walk %v, Rescan %v, want only Walk", s.Walk, s.Rescan)
	}
	if s := shapeOf[struct{ A any }](t); !s.Walk || !s.Rescan || !s.Any {
		t.Errorf("any: got Walk %v, Rescan %v, Any %v, want all", s.Walk, s.Rescan, s.Any)
	}
}

// What a decoder may allocate over data that Scan accepted.
func allowed(n int) uint64 { return 2 * (64*uint64(n) + 1<<20) }

func FuzzScan(f *testing.F) {
	for _, bomb := range bombs {
		if len(bomb.data) < 1000 {
			f.Add(bomb.data)
		}
	}
	data, err := msgpack.Marshal(map[string]any{"a": []any{1, "x", nil, time.Now(), []byte("y")}, "b": 1.5})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if msgscan.Scan(data) != nil {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var v any
		_ = msgpack.Unmarshal(data, &v) // it knows no ext types but times
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > allowed(len(data)) {
			t.Errorf("%d bytes: allocated %d, want at most %d", len(data), used, allowed(len(data)))
		}
	})
}

func BenchmarkScanBombs(b *testing.B) {
	for _, bomb := range bombs {
		b.Run(bomb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = msgscan.Scan(bomb.data)
			}
		})
	}
}
