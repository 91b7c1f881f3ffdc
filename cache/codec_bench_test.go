package cache_test

import (
	"testing"

	"github.com/larder-go/larder/cache"
	"github.com/vmihailenco/msgpack/v5"
)

type codecPlain struct {
	ID    int64
	Name  string
	Price float64
	Tags  []string
	Parts []codecLine
}

type codecLine struct {
	SKU   string
	Count int32
}

func plainValue() codecPlain {
	v := codecPlain{ID: 42, Name: "a name of some length", Price: 9.95, Tags: []string{"a", "b", "c"}}
	for range 10 {
		v.Parts = append(v.Parts, codecLine{"sku-0001", 3})
	}
	return v
}

// The library alone, to see what checking costs.
func BenchmarkMsgpackLibrary(b *testing.B) {
	v := plainValue()
	data, err := msgpack.Marshal(&v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = msgpack.Marshal(&v)
		}
	})
	b.Run("Unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v codecPlain
			_ = msgpack.Unmarshal(data, &v)
		}
	})
}

func benchmarkCodec[V any](b *testing.B, c cache.Codec[V], v V) {
	data, err := c.Append(nil, v)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Append", func(b *testing.B) {
		b.ReportAllocs()
		var buf []byte
		for b.Loop() {
			buf, _ = c.Append(buf[:0], v)
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Decode(data)
		}
	})
}

func BenchmarkMsgpack(b *testing.B)    { benchmarkCodec(b, cache.Msgpack[codecPlain](), plainValue()) }
func BenchmarkMsgpackInt(b *testing.B) { benchmarkCodec(b, cache.Msgpack[int](), 70_000) }
func BenchmarkJSON(b *testing.B)       { benchmarkCodec(b, cache.JSON[codecPlain](), plainValue()) }
