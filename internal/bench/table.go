package bench

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Table is a markdown table. The first column is text, the others numbers.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends a row. Cells that are missing are empty.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// String returns the table in markdown, its columns aligned in the source too.
func (t *Table) String() string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(escape(cell(row, i))), 3)
		}
	}
	var b strings.Builder
	line := func(row []string) {
		for i, width := range widths {
			text := escape(cell(row, i))
			pad := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
			if i == 0 {
				b.WriteString("| " + text + pad + " |")
			} else {
				b.WriteString(" " + pad + text + " |")
			}
		}
		b.WriteByte('\n')
	}
	line(t.Header)
	for i, width := range widths {
		if i == 0 {
			b.WriteString("|" + strings.Repeat("-", width+2) + "|")
		} else {
			b.WriteString(strings.Repeat("-", width+1) + ":|")
		}
	}
	b.WriteByte('\n')
	for _, row := range t.Rows {
		line(row)
	}
	return b.String()
}

func cell(row []string, i int) string {
	if i >= len(row) {
		return ""
	}
	return row[i]
}

func escape(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// Number renders n with three significant digits, and with thousands set apart.
func Number(n float64) string {
	switch {
	case n < 0:
		return "-" + Number(-n)
	case n == 0:
		return "0"
	case n < 0.9995:
		return fmt.Sprintf("%.3f", n)
	case n < 9.995:
		return fmt.Sprintf("%.2f", n)
	case n < 99.95:
		return fmt.Sprintf("%.1f", n)
	}
	return Count(int64(n + 0.5))
}

// Count renders a whole number that is not negative, with thousands set apart.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Spread renders a sample: its median and its range.
func Spread(s Sample) string {
	if len(s) < 2 {
		return Number(s.Median())
	}
	return fmt.Sprintf("%s (%s..%s)", Number(s.Median()), Number(s.Min()), Number(s.Max()))
}

// Times renders a ratio; a ratio of 0 is unknown.
func Times(ratio float64) string {
	if ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2fx", ratio)
}

// Span renders d with three significant digits in the unit that suits it.
func Span(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < time.Millisecond:
		return Number(float64(d)/float64(time.Microsecond)) + " µs"
	case d < time.Second:
		return Number(float64(d)/float64(time.Millisecond)) + " ms"
	}
	return Number(d.Seconds()) + " s"
}
