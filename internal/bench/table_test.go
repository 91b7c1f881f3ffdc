package bench

import (
	"strings"
	"testing"
	"time"
)

func TestTableIsAlignedMarkdown(t *testing.T) {
	table := Table{Header: []string{"call", "ns/op"}}
	table.Add("get", "1,234")
	table.Add("a|b µ")
	want := strings.Join([]string{
		`| call   | ns/op |`,
		`|--------|------:|`,
		`| get    | 1,234 |`,
		`| a\|b µ |       |`,
		``,
	}, "\n")
	if got := table.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for n, want := range map[float64]string{
		0: "0", 0.5: "0.500", 0.9999: "1.00", 9.994: "9.99", 9.999: "10.0", 61.23: "61.2", 99.97: "100",
		123.6: "124", 999.6: "1,000", 1234.5: "1,235", 1e6: "1,000,000", -2: "-2.00",
	} {
		if got := Number(n); got != want {
			t.Errorf("%v: got %q, want %q", n, got, want)
		}
	}
}

func TestSpreadsTimesAndSpans(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{Spread(Sample{3}), "3.00"},
		{Spread(Sample{3, 1, 20}), "3.00 (1.00..20.0)"},
		{Times(1.254), "1.25x"},
		{Times(0), "-"},
		{Span(0), "0 ns"},
		{Span(999), "999 ns"},
		{Span(1500), "1.50 µs"},
		{Span(150 * time.Millisecond), "150 ms"},
		{Span(12 * time.Second), "12.0 s"},
		{Count(10_000), "10,000"},
		{Count(7), "7"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestLineIsInTheGoBenchmarkFormat(t *testing.T) {
	var b strings.Builder
	l := Line{Name: "L1/hot/otter GetIfPresent", Procs: 2, Ops: 1000, Units: []Unit{{61.25, "ns/op"}, {0, "allocs/op"}}}
	n, err := l.WriteTo(&b)
	want := "BenchmarkL1/hot/otter_GetIfPresent-2\t1000\t61.25 ns/op\t0 allocs/op\n"
	if b.String() != want || err != nil || n != int64(len(want)) {
		t.Errorf("got %q, %d and %v, want %q", b.String(), n, err, want)
	}
}

func TestFactsNameNoMachine(t *testing.T) {
	f := Collect("7.0.15")
	if f.CPU == "" || f.Cores < 1 || f.Go == "" || !strings.Contains(f.OS, "/") || f.Redis != "7.0.15" {
		t.Errorf("got %+v, want every fact", f)
	}
	if strings.ContainsAny(f.CPU, "/\n") {
		t.Errorf("got CPU %q, want a model", f.CPU)
	}
}
