package cache

import (
	"bytes"
	"math"
	"testing"
	"time"
)

// What is written of a life is read again, to the millisecond, and what follows
// it is left alone.
func TestAgingRoundTrip(t *testing.T) {
	for _, a := range []aging{
		{},
		{life: life{soft: time.Second, hard: time.Minute, due: time.Second, spread: 1500 * time.Microsecond, patience: time.Millisecond}, etag: "tag"},
		{life: life{soft: MaxTTL, hard: MaxTTL, due: MaxTTL, spread: MaxTTL, patience: MaxTTL}, etag: string(make([]byte, 300))},
	} {
		a.born = time.UnixMilli(1234567890123)
		w, rest, err := readAging(append(a.appendTo(nil), "payload"...))
		if err != nil || w.life != a.life || w.born != a.born.UnixMilli() || string(w.etag) != a.etag || !w.ages || string(rest) != "payload" {
			t.Errorf("got %+v, %q, %v; want %+v", w, rest, err, a)
		}
	}
}

// Damage is an error, never a panic; what can be read can be judged and is written
// as it was.
func FuzzReadAging(f *testing.F) {
	f.Add((&aging{life: life{soft: time.Second, spread: time.Millisecond}, born: time.UnixMilli(1e12), etag: "x"}).appendTo(nil))
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 9})
	f.Add(append([]byte{1}, bytes.Repeat([]byte{0xff}, 80)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, rest, err := readAging(data)
		if err != nil {
			return
		}
		for _, d := range []time.Duration{w.soft, w.hard, w.due, w.spread, w.patience} {
			if d < 0 || d > MaxTTL {
				t.Errorf("a duration of %v", d)
			}
		}
		w.see()
		again, left, err := readAging(append((&aging{w.life, time.UnixMilli(w.born), string(w.etag)}).appendTo(nil), rest...))
		if err != nil || again.life != w.life || again.born != w.born || !bytes.Equal(again.etag, w.etag) || !bytes.Equal(left, rest) {
			t.Errorf("got %+v, %v; want %+v", again, err, w)
		}
	})
}

// Every byte of an aging entry's frame matters, or is the payload's.
func TestDamagedAgingIsUndecodable(t *testing.T) {
	v := NewTyped[string](memoryless{}, &TypedOptions[string]{Codec: Text()})
	data, err := v.encode(&object[string]{value: "", aging: &aging{life: life{soft: time.Second}, born: time.UnixMilli(1e12), etag: "tag"}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, _, at, _ := v.frame.open(data[:n]); at != atUndecodable {
			t.Errorf("cut to %d of %d bytes: got %v", n, len(data), at)
		}
	}
	data[frameLength] = agingForm + 1
	if _, _, at, _ := v.frame.open(data); at != atUndecodable {
		t.Errorf("a form of the future: got %v", at)
	}
}

// memoryless is a cache that is never asked.
type memoryless struct{ Cache }

func TestSee(t *testing.T) {
	l := life{soft: 10, hard: 20}
	for age, want := range map[time.Duration]found{0: atValue, 9: atValue, 10: atStale, 19: atStale, 20: atExpired, math.MaxInt64: atExpired} {
		if got := l.see(age); got.at != want || got.age != age {
			t.Errorf("at %d: got %v, want %v", age, got, want)
		}
	}
	w := written{life: life{soft: time.Hour}, ages: true, born: time.Now().Add(30 * time.Minute).UnixMilli()}
	if s := w.see(); s.at != atValue || s.age != 0 {
		t.Errorf("written by a clock that is ahead: got %+v", s)
	}
	w.born = 0
	if s := w.see(); s.at != atStale {
		t.Errorf("written long ago: got %+v", s)
	}
}

// The chance of a refresh ahead is that of an exponentially distributed number.
func TestAheadIsExponential(t *testing.T) {
	const tries = 100_000
	for _, tt := range []struct {
		left time.Duration
		want float64
	}{{time.Second, math.Exp(-1)}, {3 * time.Second, math.Exp(-3)}, {100 * time.Millisecond, math.Exp(-0.1)}, {50 * time.Second, 0}, {time.Hour, 0}, {0, 0}, {-1, 0}} {
		n := 0
		for range tries {
			if ahead(tt.left, time.Second) {
				n++
			}
		}
		// Six standard deviations.
		if got, off := float64(n)/tries, 6*math.Sqrt(tt.want*(1-tt.want)/tries); math.Abs(got-tt.want) > off {
			t.Errorf("%v left of a load of a second: got %v, want %v", tt.left, got, tt.want)
		}
	}
}

// Notes are bounded, forgotten when they are over, and dropped by writes.
func TestNotes(t *testing.T) {
	c := NewCoordinator(nil)
	now := time.Now()
	f := func(name string) *flight { return &flight{key: flightKey{name: name}} }
	for i := range 40_000 {
		c.note(f(string(rune(i))+"x"), note{retry: now.Add(time.Hour), err: errAging})
	}
	total, busy := 0, int64(0)
	for i := range c.shards {
		total += len(c.shards[i].notes)
		busy += c.shards[i].busy.Load()
	}
	if most := maxNotes * len(c.shards); total > most || total < most/2 || busy != int64(total) {
		t.Errorf("got %d notes and %d busy, want at most %d", total, busy, most)
	}
	c.InvalidateAll()
	for i := range c.shards {
		if s := &c.shards[i]; len(s.notes) != 0 || s.busy.Load() != 0 {
			t.Fatalf("after InvalidateAll: %d notes, %d busy", len(s.notes), s.busy.Load())
		}
	}
	for name, forget := range map[string]func(){
		"Invalidate":       func() { c.Invalidate("k") },
		"InvalidateTokens": func() { c.InvalidateTokens([]Token{GlobalToken()}) },
	} {
		c.note(f("k"), note{until: now.Add(time.Hour), err: errAging})
		if c.noted("k").err == nil {
			t.Errorf("%s: no note", name)
		}
		if forget(); c.noted("k").err != nil {
			t.Errorf("%s: the note is still there", name)
		}
	}
	c.note(f("k"), note{until: now, err: errAging})
	if c.noted("k").err != nil || c.shard("k").busy.Load() != 0 {
		t.Error("a note that is over is still there")
	}
	old := f("k")
	old.stale = true
	if c.note(old, note{until: now.Add(time.Hour), err: errAging}); c.noted("k").err != nil {
		t.Error("the note of a load that was invalidated")
	}
}

func TestGuardKeys(t *testing.T) {
	seen := map[string]bool{}
	long := string(bytes.Repeat([]byte("k"), MaxKeyLength))
	for _, key := range []string{"k", "kk", long, long[:MaxKeyLength-1], long[:MaxKeyLength-15], long[:MaxKeyLength-16]} {
		g := guardKey(key)
		if err := CheckKey(g); err != nil || seen[g] || g == key {
			t.Errorf("%d bytes: got a key of %d bytes, %v, seen %v", len(key), len(g), err, seen[g])
		}
		seen[g] = true
	}
}

// However wrong the time in an entry is, its age is neither negative nor random.
func TestAgeOfAnEntryFromAnyTime(t *testing.T) {
	for _, born := range []int64{0, time.Now().Add(time.Hour).UnixMilli(), 1 << 53, int64(MaxTTL) - 1, int64(MaxTTL)} {
		w := written{life: life{soft: time.Second, hard: time.Minute}, born: born, ages: true}
		want := atValue
		if born == 0 {
			want = atExpired
		}
		if s := w.see(); s.at != want || s.age < 0 || s.age > MaxTTL {
			t.Errorf("born at %d: got state %d at age %v, want state %d", born, s.at, s.age, want)
		}
	}
}
