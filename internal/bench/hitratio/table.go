package hitratio

import (
	"fmt"
	"io"
	"strings"
)

// Row is one trace at one size: the hit ratios, in percent, of the best that is
// possible and of each contender.
type Row struct {
	Trace string
	Size  int
	Best  float64
	Ratio []float64
}

// Measure plays every trace at each of its sizes against each contender, that
// many times, and takes the mean: what is kept depends on the hash, which each
// cache seeds by chance.
func Measure(traces []Trace, contenders []Contender, times int) []Row {
	var rows []Row
	for _, t := range traces {
		for _, size := range t.Sizes {
			row := Row{Trace: t.Name, Size: size, Best: 100 * Best(t, size)}
			for _, c := range contenders {
				sum := 0.0
				for range times {
					sum += 100 * Play(t, size, c)
				}
				row.Ratio = append(row.Ratio, sum/float64(times))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// MeanOfBest returns the mean of what contender i reached of the best, in
// percent.
func MeanOfBest(rows []Row, i int) float64 {
	sum := 0.0
	for _, r := range rows {
		sum += 100 * r.Ratio[i] / r.Best
	}
	return sum / float64(max(1, len(rows)))
}

// Write writes rows as a table in Markdown.
func Write(w io.Writer, rows []Row, contenders []Contender) error {
	var b strings.Builder
	b.WriteString("| trace | size | OPT |")
	for _, c := range contenders {
		fmt.Fprintf(&b, " %s |", c.Name)
	}
	b.WriteString("\n|---|---:|---:|" + strings.Repeat("---:|", len(contenders)) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %.1f |", r.Trace, r.Size, r.Best)
		for _, ratio := range r.Ratio {
			fmt.Fprintf(&b, " %.1f |", ratio)
		}
		b.WriteByte('\n')
	}
	b.WriteString("| mean of OPT | | 100 |")
	for i := range contenders {
		fmt.Fprintf(&b, " %.1f |", MeanOfBest(rows, i))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}
