package hitratio

import (
	"fmt"
	"io"
	"text/tabwriter"
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
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprint(t, "| trace\t size\t OPT\t")
	for _, c := range contenders {
		fmt.Fprintf(t, " %s\t", c.Name)
	}
	fmt.Fprint(t, "\n|---\t---:\t---:\t")
	for range contenders {
		fmt.Fprint(t, "---:\t")
	}
	fmt.Fprintln(t)
	for _, r := range rows {
		fmt.Fprintf(t, "| %s\t %d\t %.1f\t", r.Trace, r.Size, r.Best)
		for _, ratio := range r.Ratio {
			fmt.Fprintf(t, " %.1f\t", ratio)
		}
		fmt.Fprintln(t)
	}
	fmt.Fprint(t, "| mean of OPT\t \t 100\t")
	for i := range contenders {
		fmt.Fprintf(t, " %.1f\t", MeanOfBest(rows, i))
	}
	fmt.Fprintln(t)
	return t.Flush()
}
