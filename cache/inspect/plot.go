package inspect

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// plot is numbers over time. It draws itself: see draw.
type plot struct {
	Title string      `json:"title"`
	Unit  unitOf      `json:"unit"`
	Times []time.Time `json:"times"`
	Lines []line      `json:"lines"`
}

// line is one line of a plot.
type line struct {
	Name   string   `json:"name"`
	Values []number `json:"values"` // one for each of the plot's times
}

// number is a value, or a gap if it is NaN.
type number float64

// MarshalJSON writes a gap as null.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

func gap() number { return number(math.NaN()) }

// unitOf says what numbers are. Its text is that of data.json.
type unitOf string

const (
	ratio     unitOf = "ratio" // of one
	perSecond unitOf = "1/s"
	seconds   unitOf = "s"
	bytesHeld unitOf = "B"
)

// scale returns what to multiply numbers up to most with, and the unit that they
// have then.
func (u unitOf) scale(most float64) (factor float64, label string) {
	switch u {
	case ratio:
		return 100, "%"
	case seconds:
		switch {
		case most < 1e-3:
			return 1e6, "µs"
		case most < 1:
			return 1e3, "ms"
		}
		return 1, "s"
	case bytesHeld:
		for n, label := range []string{"B", "KiB", "MiB", "GiB"} {
			if most < math.Exp2(float64(10*(n+1))) {
				return math.Exp2(float64(-10 * n)), label
			}
		}
		return math.Exp2(-40), "TiB"
	}
	switch {
	case most >= 1e6:
		return 1e-6, "million/s"
	case most >= 1e4:
		return 1e-3, "thousand/s"
	}
	return 1, "per second"
}

// text returns n with its unit, for humans: three digits that matter.
func (u unitOf) text(n number) string {
	if math.IsNaN(float64(n)) {
		return "–"
	}
	factor, label := u.scale(float64(n))
	v := float64(n) * factor
	digits := 0
	switch {
	case v == math.Trunc(v) || v >= 100:
	case v >= 10:
		digits = 1
	default:
		digits = 2
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + label
}

// The drawing's size and what is around the plot in it, in its own units.
const (
	width, height             = 460.0, 190.0
	left, right, above, below = 46.0, 10.0, 20.0, 24.0
)

// drawing is what the template needs to draw a plot.
type drawing struct {
	Title, Unit   string
	Width, Height float64
	Left, Right   float64 // where the plot begins and ends
	Top, Bottom   float64
	Across        []tick // values: horizontal lines
	Along         []tick // times: marks on the axis
	Curves        []curve
	Empty         bool // no line has a value
}

// tick is a mark on an axis.
type tick struct {
	At    float64
	Label string
}

// curve is a line as it is drawn, with what stands in the legend.
type curve struct {
	Name, Latest string
	Class        string
	D            string // as in SVG
}

// draw lays the plot out.
func (p plot) draw() drawing {
	most := p.most()
	factor, label := p.Unit.scale(most)
	step := niceStep(most * factor)
	end := step * math.Ceil(most*factor/step*(1-1e-9))
	d := drawing{
		Title: p.Title, Unit: label, Width: width, Height: height,
		Left: left, Right: width - right, Top: above, Bottom: height - below,
	}
	toY := func(v float64) float64 { return d.Bottom - v*factor/end*(d.Bottom-d.Top) }
	for n := 0; float64(n)*step <= end*(1+1e-9); n++ {
		v := float64(n) * step
		d.Across = append(d.Across, tick{toY(v / factor), strconv.FormatFloat(v, 'f', decimals(step), 64)})
	}
	toX := d.timeAxis(p.Times)
	for n, l := range p.Lines {
		drawn := curve{Name: l.Name, Latest: p.Unit.text(gap()), Class: fmt.Sprint("line", n+1)}
		if len(l.Values) > 0 {
			drawn.Latest = p.Unit.text(l.Values[len(l.Values)-1])
		}
		drawn.D = l.trace(p.Times, toX, toY)
		d.Curves = append(d.Curves, drawn)
	}
	d.Empty = p.empty()
	return d
}

// most returns the largest value, or what stands in for it if there is none.
func (p plot) most() float64 {
	if p.Unit == ratio {
		return 1
	}
	most := 0.0
	for _, l := range p.Lines {
		for _, v := range l.Values {
			if float64(v) > most { // a gap is not
				most = float64(v)
			}
		}
	}
	if most == 0 {
		return 1
	}
	return most
}

func (p plot) empty() bool {
	for _, l := range p.Lines {
		for _, v := range l.Values {
			if !math.IsNaN(float64(v)) {
				return false
			}
		}
	}
	return true
}

// minSpan is the least that the time axis spans, so that the first samples do not
// fill the plot.
const minSpan = time.Minute

// timeAxis adds the marks on the axis of times, and returns where a time lies.
func (d *drawing) timeAxis(times []time.Time) func(time.Time) float64 {
	if len(times) == 0 {
		return func(time.Time) float64 { return d.Right }
	}
	last := times[len(times)-1]
	first := times[0]
	if last.Sub(first) < minSpan {
		first = last.Add(-minSpan)
	}
	toX := func(t time.Time) float64 {
		return d.Right - (d.Right-d.Left)*float64(last.Sub(t))/float64(last.Sub(first))
	}
	step, layout := timeStep(last.Sub(first))
	for t := first.UTC().Truncate(step).Add(step); !t.After(last); t = t.Add(step) {
		if x := toX(t); x >= d.Left+14 && x <= d.Right-14 { // there is room for its label
			d.Along = append(d.Along, tick{x, t.Format(layout)})
		}
	}
	return toX
}

// timeStep returns the distance of marks for at most six of them, and how they
// are written.
func timeStep(span time.Duration) (time.Duration, string) {
	for _, step := range []time.Duration{
		10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
		15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	} {
		if span <= 6*step {
			if step < time.Minute {
				return step, "15:04:05"
			}
			return step, "15:04"
		}
	}
	step := (span / 6).Truncate(24*time.Hour) + 24*time.Hour
	return step, "01-02"
}

// niceStep returns the distance of about four marks up to most: 1, 2 or 5 times a
// power of ten.
func niceStep(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if m*power*4 >= most*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// decimals returns how many digits after the point the multiples of step need.
func decimals(step float64) int {
	for n := range 9 {
		if scaled := step * math.Pow(10, float64(n)); math.Abs(scaled-math.Round(scaled)) < 1e-6 {
			return n
		}
	}
	return 9
}

// trace returns the line as SVG writes it, with a dash for a value between gaps.
func (l line) trace(times []time.Time, toX func(time.Time) float64, toY func(float64) float64) string {
	var b strings.Builder
	drawing := false
	for n, v := range l.Values {
		if math.IsNaN(float64(v)) {
			drawing = false
			continue
		}
		x, y := toX(times[n]), toY(float64(v))
		last := n+1 == len(l.Values) || math.IsNaN(float64(l.Values[n+1]))
		switch {
		case drawing:
			fmt.Fprintf(&b, "L%.1f %.1f", x, y)
		case last:
			fmt.Fprintf(&b, "M%.1f %.1fh3", x-1.5, y)
		default:
			fmt.Fprintf(&b, "M%.1f %.1f", x, y)
		}
		drawing = true
	}
	return b.String()
}
