package hitratio

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBestKnowsTheFuture(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys []uint32
		size int
		hits float64
	}{
		{"all fit", []uint32{1, 2, 1, 2}, 2, 2},
		{"a cycle keeps what it can", []uint32{1, 2, 3, 1, 2, 3, 1, 2, 3}, 2, 4},
		{"what never comes back is not stored", []uint32{1, 9, 1, 8, 1, 7, 1}, 1, 3},
		{"nothing comes back", []uint32{1, 2, 3}, 3, 0},
	} {
		if got, want := Best(Trace{Keys: tc.keys}, tc.size), tc.hits/float64(len(tc.keys)); got != want {
			t.Errorf("%s: got %v, want %v", tc.name, got, want)
		}
	}
}

func TestNobodyIsBetterThanTheBest(t *testing.T) {
	trace := Trace{Keys: zipf(1.0)[:20_000]}
	best := Best(trace, 100)
	for _, c := range Contenders() {
		if got := Play(trace, 100, c); got <= 0 || got > best {
			t.Errorf("%s: got %.3f, want more than none and at most %.3f", c.Name, got, best)
		}
	}
}

func TestACycleDefeatsRecencyAndNotTheEngine(t *testing.T) {
	trace := Trace{Keys: cycle()[:100_000]}
	if got := Play(trace, 1000, Contender{Open: openLRU}); got != 0 {
		t.Errorf("golang-lru: got %.3f, want 0", got)
	}
	if got := Play(trace, 1000, Contender{Open: openEngine}); got < 0.4 {
		t.Errorf("engine: got %.3f, want 0.4 or more of at most 0.5", got)
	}
}

func TestRecordedTracesAreReadFromADirectory(t *testing.T) {
	dir := t.TempDir()
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte("3\n1\n3\n")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "loop.keys.gz"), zipped.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	traces, err := Recorded(dir)
	if err != nil || len(traces) != 1 || traces[0].Name != "loop" || !slices.Equal(traces[0].Keys, []uint32{3, 1, 3}) || traces[0].Distinct() != 2 {
		t.Errorf("got %+v and %v, want the one trace", traces, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "oltp.keys.gz"), []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Recorded(dir); err == nil || !strings.Contains(err.Error(), "oltp") {
		t.Errorf("got %v, want an error that names the trace", err)
	}
}

func TestTheTableHasARowForEachSize(t *testing.T) {
	traces := []Trace{{Name: "short", Keys: []uint32{1, 1, 2, 2}, Sizes: []int{1, 2}}}
	contenders := []Contender{{"lru", openLRU}}
	rows := Measure(traces, contenders, 2)
	var out strings.Builder
	if err := Write(&out, rows, contenders); err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || MeanOfBest(rows, 0) != 100 || strings.Count(out.String(), "short") != 2 {
		t.Errorf("got %+v and\n%s", rows, out.String())
	}
}
