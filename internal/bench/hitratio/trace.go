package hitratio

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// Trace is a sequence of requests and the sizes of cache that it is played at.
type Trace struct {
	Name  string
	Keys  []uint32
	Sizes []int
}

// Distinct returns how many keys the trace has.
func (t Trace) Distinct() int {
	seen := make(map[uint32]struct{})
	for _, k := range t.Keys {
		seen[k] = struct{}{}
	}
	return len(seen)
}

// recorded are the traces that a directory may hold, with their sizes.
var recorded = []Trace{
	{Name: "oltp", Sizes: []int{500, 2000, 8000}},
	{Name: "glimpse", Sizes: []int{250, 500, 1000}},
	{Name: "loop", Sizes: []int{250, 500, 750}},
	{Name: "multi3", Sizes: []int{500, 1000, 2000}},
	{Name: "sprite", Sizes: []int{200, 500, 1000}},
	{Name: "corda", Sizes: []int{512, 2048, 8192}},
	{Name: "web12", Sizes: []int{500, 1500, 4000}},
	{Name: "cdn", Sizes: []int{1000, 4000, 12000}},
	{Name: "two-pools", Sizes: []int{100, 450, 1000}},
	{Name: "scarab", Sizes: []int{5000, 25000, 75000}},
}

// Traces returns the recorded traces in dir, if that is not empty, and the
// synthetic ones.
func Traces(dir string) ([]Trace, error) {
	if dir == "" {
		return Synthetic(), nil
	}
	traces, err := Recorded(dir)
	return append(traces, Synthetic()...), err
}

// Recorded reads the traces in dir: files named after them and .keys.gz, one
// number a line. Those that are missing are left out.
func Recorded(dir string) ([]Trace, error) {
	var traces []Trace
	for _, t := range recorded {
		keys, err := readKeys(filepath.Join(dir, t.Name+".keys.gz"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("trace %s: %w", t.Name, err)
		}
		t.Keys = keys
		traces = append(traces, t)
	}
	return traces, nil
}

func readKeys(path string) ([]uint32, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	var keys []uint32
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		key, err := strconv.ParseUint(lines.Text(), 10, 32)
		if err != nil {
			return nil, err
		}
		keys = append(keys, uint32(key))
	}
	return keys, lines.Err()
}

const (
	drawnKeys     = 20_000
	drawnRequests = 300_000
)

// Synthetic returns the traces that are drawn here, the same ones each time.
func Synthetic() []Trace {
	sizes := []int{200, 1000, 4000}
	traces := []Trace{
		{"zipf 0.8", zipf(0.8), sizes},
		{"zipf 0.9", zipf(0.9), sizes},
		{"zipf 1.0", zipf(1.0), sizes},
		{"zipf 1.1", zipf(1.1), sizes},
		{"scan mix", scanMix(), sizes},
		{"cycle", cycle(), []int{500, 1000, 1800}},
		{"shift", shift(), sizes},
	}
	return traces
}

// zipf draws keys with a probability that falls with their rank to the power s.
func zipf(s float64) []uint32 {
	draw := newZipf(s, drawnKeys, 1)
	keys := make([]uint32, drawnRequests)
	for i := range keys {
		keys[i] = draw()
	}
	return keys
}

// scanMix is Zipf with a scan over keys of its own every so often.
func scanMix() []uint32 {
	draw := newZipf(0.9, drawnKeys, 2)
	keys := make([]uint32, 0, drawnRequests)
	for next := uint32(drawnKeys); len(keys) < drawnRequests; {
		for range 10_000 {
			keys = append(keys, draw())
		}
		for range 5_000 {
			keys = append(keys, next)
			next++
		}
	}
	return keys
}

// cycle goes through the same keys again and again.
func cycle() []uint32 {
	keys := make([]uint32, drawnRequests)
	for i := range keys {
		keys[i] = uint32(i % 2000)
	}
	return keys
}

// shift is Zipf where other keys are the popular ones now and then.
func shift() []uint32 {
	draw := newZipf(1.0, drawnKeys, 3)
	keys := make([]uint32, drawnRequests)
	for i := range keys {
		keys[i] = draw() + uint32(i/60_000*drawnKeys)
	}
	return keys
}

func newZipf(s float64, n int, seed uint64) func() uint32 {
	random := rand.New(rand.NewPCG(seed, seed))
	sums := make([]float64, n)
	total := 0.0
	for i := range sums {
		total += powered(i+1, s)
		sums[i] = total
	}
	return func() uint32 {
		at := random.Float64() * total
		low, high := 0, n-1
		for low < high {
			if middle := (low + high) / 2; sums[middle] < at {
				low = middle + 1
			} else {
				high = middle
			}
		}
		return uint32(low)
	}
}
