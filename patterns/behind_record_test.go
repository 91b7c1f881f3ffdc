package patterns

import (
	"errors"
	"testing"

	"github.com/larder-go/larder/cache"
)

type tuple struct {
	Name string
	N    int
}

func codecs() records[string, tuple] {
	return records[string, tuple]{ids: cache.Text(), values: cache.Msgpack[tuple]()}
}

func TestRecordsComeBack(t *testing.T) {
	for _, r := range []record[string, tuple]{
		{id: "", value: tuple{}, has: true}, {id: "a", value: tuple{"b", 1}, has: true},
		{id: "a"}, {id: "\x00\xff", value: tuple{N: -1}, has: true, fresh: true},
	} {
		data, err := codecs().encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := codecs().decode(data); got != r || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, r)
		}
	}
}

// What was written by another version, or by nobody, must be an error and no
// panic: it becomes a dead letter.
func FuzzRecord(f *testing.F) {
	for _, r := range []record[string, tuple]{{id: "a", value: tuple{"b", 1}, has: true}, {id: "a"}} {
		data, err := codecs().encode(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
	}
	f.Add([]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := codecs().decode(data)
		if err != nil {
			if !errors.Is(err, cache.ErrUndecodable) {
				t.Errorf("got %v, want ErrUndecodable", err)
			}
			return
		}
		again, err := codecs().encode(r)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if got, err := codecs().decode(again); got != r || err != nil {
			t.Errorf("got %+v, %v; want %+v", got, err, r)
		}
	})
}
