package inspect

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestNiceSteps(t *testing.T) {
	for most, want := range map[float64]float64{1: 0.25, 4: 1, 5: 2, 100: 25, 101: 50, 7: 2, 0.03: 0.01, 999: 250, 1234567: 500000} {
		got := niceStep(most)
		if math.Abs(got/want-1) > 1e-9 {
			t.Errorf("up to %v: got steps of %v, want %v", most, got, want)
		}
		if marks := most / got; marks > 4.0001 {
			t.Errorf("up to %v: got %v marks", most, marks)
		}
	}
}

func TestNumbersAreWrittenWithTheirUnit(t *testing.T) {
	tests := []struct {
		unit unitOf
		n    number
		want string
	}{
		{ratio, 0.9734, "97.3 %"}, {ratio, 1, "100 %"}, {ratio, 0, "0 %"},
		{seconds, 0.0000025, "2.50 µs"}, {seconds, 0.25, "250 ms"}, {seconds, 1.5, "1.50 s"},
		{bytesHeld, 17, "17 B"}, {bytesHeld, 1 << 20, "1 MiB"}, {bytesHeld, 1536, "1.50 KiB"}, {bytesHeld, 1 << 42, "4 TiB"},
		{perSecond, 12.34, "12.3 per second"}, {perSecond, 12_340, "12.3 thousand/s"}, {perSecond, 2e6, "2 million/s"},
		{perSecond, gap(), "–"},
	}
	for _, test := range tests {
		if got := test.unit.text(test.n); got != test.want {
			t.Errorf("%v %s: got %q, want %q", float64(test.n), test.unit, got, test.want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1\u202f000", -1234567: "-1\u202f234\u202f567", -999: "-999"} {
		if got := count(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestGapsAreNull(t *testing.T) {
	got, err := json.Marshal([]number{1.5, gap(), 0})
	if want := "[1.5,null,0]"; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// fourMinutes is a plot of five values, a minute apart.
func fourMinutes(unit unitOf, values ...number) plot {
	p := plot{Title: "plot", Unit: unit, Lines: []line{{"values", values}}}
	for n := range values {
		p.Times = append(p.Times, time.Date(2026, 3, 4, 12, n, 0, 0, time.UTC))
	}
	return p
}

func TestDraw(t *testing.T) {
	d := fourMinutes(ratio, 0, 0.5, gap(), 1, gap()).draw()
	// From left to right 404 wide, from bottom to top 146 high.
	if got, want := d.Curves[0].D, "M46.0 166.0L147.0 93.0M347.5 20.0h3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := d.Across; len(got) != 5 || got[0] != (tick{166, "0"}) || got[4] != (tick{20, "100"}) || d.Unit != "%" {
		t.Errorf("got %v in %s", got, d.Unit)
	}
	if got := d.Along; len(got) != 3 || got[0] != (tick{147, "12:01"}) || got[2].Label != "12:03" {
		t.Errorf("got %v", got)
	}
	if d.Curves[0].Latest != "–" || d.Empty {
		t.Errorf("got %q, empty %v", d.Curves[0].Latest, d.Empty)
	}
	if d := fourMinutes(perSecond, gap(), gap()).draw(); !d.Empty || d.Curves[0].D != "" {
		t.Errorf("got %+v, want nothing", d)
	}
	if d := (plot{Unit: seconds, Lines: []line{{"none", nil}}}).draw(); !d.Empty || len(d.Along) != 0 {
		t.Errorf("got %+v, want nothing", d)
	}
}

// TestEverythingIsInsideThePlot: whatever the numbers, nothing is drawn beside the
// axes, and no mark is NaN.
func TestEverythingIsInsideThePlot(t *testing.T) {
	for _, unit := range []unitOf{ratio, perSecond, seconds, bytesHeld} {
		for _, most := range []number{0, 1e-9, 0.001, 0.3, 0.9999, 1, 3, 999.9, 1023.9, 12345, 6.7e8, 9e15} {
			if unit == ratio && most > 1 {
				continue
			}
			d := fourMinutes(unit, 0, most, most/2).draw()
			for _, mark := range d.Across {
				if !(mark.At >= d.Top-0.01 && mark.At <= d.Bottom+0.01) {
					t.Errorf("%s up to %v: got a mark at %v", unit, float64(most), mark)
				}
			}
			if n := len(d.Across); n < 3 || n > 6 {
				t.Errorf("%s up to %v: got %d marks", unit, float64(most), n)
			}
			for _, mark := range d.Along {
				if mark.At < d.Left || mark.At > d.Right {
					t.Errorf("got a mark at %v", mark)
				}
			}
		}
	}
}

func TestTimesAreMarkedAtMostSixTimes(t *testing.T) {
	end := time.Date(2026, 3, 4, 12, 34, 56, 0, time.UTC)
	for span := time.Second; span < 100*24*time.Hour; span += span / 3 {
		var d drawing
		d.Left, d.Right = 0, 400
		toX := d.timeAxis([]time.Time{end.Add(-span), end})
		if n := len(d.Along); n > 6 || span > minSpan && n < 1 {
			t.Errorf("%v: got %d marks", span, n)
		}
		if got := toX(end); got != 400 {
			t.Errorf("%v: the end is at %v", span, got)
		}
	}
}
