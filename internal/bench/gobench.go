package bench

import (
	"fmt"
	"io"
	"strings"
)

// Line is one measurement in the Go benchmark format, as benchstat reads it.
type Line struct {
	Name  string // as in "L1/hit/otter", without Benchmark
	Procs int
	Ops   uint64
	Units []Unit
}

// Unit is one number of a Line, as in {61.2, "ns/op"}.
type Unit struct {
	Value float64
	Name  string
}

// WriteTo writes l. Spaces in its name become underscores.
func (l Line) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "Benchmark%s-%d\t%d", strings.ReplaceAll(l.Name, " ", "_"), l.Procs, l.Ops)
	for _, u := range l.Units {
		fmt.Fprintf(&b, "\t%.4g %s", u.Value, u.Name)
	}
	b.WriteByte('\n')
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
