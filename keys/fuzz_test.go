package keys

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// canon is a part in a form whose distinctness is plain to see: quoted texts,
// nil, and lists and records of these.
type canon string

func canonText(s string) canon { return canon(strconv.Quote(s)) }

func canonList(open string, elems []canon) canon {
	return canon(open + fmt.Sprint(len(elems)) + fmt.Sprintf("%q", elems))
}

// source deals out the bytes of a fuzz input; when they run out, zeros.
type source struct{ data []byte }

func (s *source) byte() byte {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return b
}

func (s *source) text() string {
	n := min(int(s.byte())%24, len(s.data))
	text := string(s.data[:n])
	s.data = s.data[n:]
	return text
}

func (s *source) uint64() uint64 {
	var b [8]byte
	s.data = s.data[copy(b[:], s.data):]
	return binary.LittleEndian.Uint64(b[:])
}

func (s *source) parts() (parts []any, canons []canon) {
	for range s.byte() % 5 {
		part, c := s.part(2)
		parts, canons = append(parts, part), append(canons, c)
	}
	return parts, canons
}

// part returns a part and what it should mean.
func (s *source) part(depth int) (any, canon) {
	switch kind := s.byte() % 12; kind {
	case 0:
		return nil, "nil"
	case 1:
		n := int64(s.uint64())
		return n, canonText(strconv.FormatInt(n, 10))
	case 2:
		b := s.byte()
		return b, canonText(strconv.Itoa(int(b)))
	case 3:
		f := math.Float64frombits(s.uint64())
		if f == 0 {
			return f, canonText("0")
		}
		return f, canonText(strconv.FormatFloat(f, 'g', -1, 64))
	case 4:
		b := []byte(s.text())
		return b, canonText(string(b))
	case 5:
		b := [16]byte{s.byte(), s.byte(), 15: s.byte()}
		h := hex.EncodeToString(b[:])
		return b, canonText(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
	case 6:
		return s.time()
	case 7:
		if depth > 0 {
			return s.list(depth)
		}
	case 8:
		if depth > 0 {
			return s.record(depth)
		}
	}
	text := s.text()
	return text, canonText(text)
}

func (s *source) time() (any, canon) {
	t := time.Unix(int64(s.uint64()), int64(s.byte()))
	if t.Unix() < firstSecond || t.Unix() > lastSecond {
		return t, canonText(fmt.Sprintf("@%d.%d", t.Unix(), t.Nanosecond()))
	}
	text := t.UTC().Format("20060102T150405.000000000")
	return t, canonText(strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + "Z")
}

func (s *source) list(depth int) (any, canon) {
	list, elems := []any{}, []canon{}
	for range s.byte() % 4 {
		part, c := s.part(depth - 1)
		list, elems = append(list, part), append(elems, c)
	}
	return Value(list), canonList("list", elems)
}

func (s *source) record(depth int) (any, canon) {
	record, names := map[string]any{}, map[string]canon{}
	for range s.byte() % 4 {
		name := s.text()
		record[name], names[name] = s.part(depth - 1)
	}
	var elems []canon
	for name, c := range names {
		elems = append(elems, canonText(name)+"="+c)
	}
	slices.Sort(elems)
	return Value(record), canonList("record", elems)
}

// FuzzWithInjective builds two lists of parts out of one input. They share a
// key if and only if they are the same parts; and each key that was not
// shortened can be read back, which no two lists with one key could.
func FuzzWithInjective(f *testing.F) {
	f.Add([]byte("\x02\x09\x03a-b\x09\x01c"), []byte("\x02\x09\x01a\x09\x03b-c"))
	f.Add([]byte("\x00"), []byte("\x01\x09\x00"))
	f.Add([]byte("\x01\x00"), []byte("\x01\x09\x02%n"))
	f.Add([]byte("\x01\x07\x02\x09\x01a\x09\x01b"), []byte("\x01\x07\x01\x09\x03a|b"))
	f.Add([]byte("\x01\x08\x01\x01a\x09\x01b"), []byte("\x01\x07\x01\x09\x03a=b"))
	f.Add([]byte("\x01\x09\x0a__larder__"), []byte("\x01\x09\x0c%5F_larder__"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		partsA, canonA := (&source{a}).parts()
		partsB, canonB := (&source{b}).parts()
		keyA, keyB := With(partsA...), With(partsB...)
		if same := slices.Equal(canonA, canonB); same != (keyA == keyB) {
			t.Errorf("same parts: %v, but keys %q and %q for %v and %v", same, keyA, keyB, canonA, canonB)
		}
		if got := readKey(keyA); !looksShortened(keyA) && !slices.Equal(got, canonA) {
			t.Errorf("key %q reads %v, want %v", keyA, got, canonA)
		}
		if keyA == "" || strings.HasPrefix(keyA, reservedPrefix) || len(keyA) > MaxLength || strings.ContainsAny(keyA, "{}\r\n\x00") {
			t.Errorf("got a key no cache should see: %q", keyA)
		}
		if got := string(Append([]byte(keyB), partsA...)); got != keyB+keyA {
			t.Errorf("Append: got %q, want %q", got, keyB+keyA)
		}
		for i := range partsA {
			if got := Bind(partsA[:i]...).With(partsA[i:]...); got != keyA {
				t.Errorf("bound to %d parts: got %q, want %q", i, got, keyA)
			}
		}
	})
}

// readKey is the inverse of With.
func readKey(key string) []canon {
	if key == tagNone {
		return nil
	}
	var parts []canon
	for _, part := range strings.Split(key, "-") {
		parts = append(parts, readPart(part))
	}
	return parts
}

func readPart(s string) canon {
	if s == tagNil {
		return "nil"
	}
	if !strings.HasPrefix(s, "[") {
		return readText(s)
	}
	elems := splitTop(s[1:len(s)-1], '|')
	if s == "[=]" {
		return canonList("record", nil)
	}
	var list []canon
	for _, elem := range elems {
		if pair := splitTop(elem, '='); len(pair) == 2 {
			list = append(list, readPart(pair[0])+"="+readPart(pair[1]))
		} else {
			list = append(list, readPart(elem))
		}
	}
	if len(elems) > 0 && len(splitTop(elems[0], '=')) == 2 {
		slices.Sort(list)
		return canonList("record", list)
	}
	return canonList("list", list)
}

// splitTop splits s where sep stands outside brackets.
func splitTop(s string, sep byte) (pieces []string) {
	depth, start := 0, 0
	for i := range len(s) {
		switch {
		case s[i] == '[':
			depth++
		case s[i] == ']':
			depth--
		case s[i] == sep && depth == 0:
			pieces = append(pieces, s[start:i])
			start = i + 1
		}
	}
	if start == len(s) && start == 0 {
		return nil
	}
	return append(pieces, s[start:])
}

func readText(s string) canon {
	if s == tagEmpty {
		return canonText("")
	}
	text, err := url.PathUnescape(s)
	if err != nil {
		return canon("unreadable: " + s)
	}
	return canonText(text)
}

// FuzzQuery checks that queries share a part if and only if they have the same
// parameters, with the values of each in any order.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&b=2", "b=2&a=1")
	f.Add("a=1&a=2", "a=2&a=1")
	f.Add("a=[1|2]", "a=1&a=2")
	f.Add("a=1|b=2", "a=1&b=2")
	f.Add("a", "a=")
	f.Add("A=K", "a=\u212a")
	f.Fuzz(func(t *testing.T, a, b string) {
		qa, errA := url.ParseQuery(a)
		qb, errB := url.ParseQuery(b)
		if errA != nil || errB != nil {
			t.Skip()
		}
		same := slices.Equal(sortedQuery(qa), sortedQuery(qb))
		if got := Query(qa, nil) == Query(qb, nil); got != same {
			t.Errorf("%q and %q: got same part: %v, want %v", a, b, got, same)
		}
		if same && Query(qa, &QueryOptions{Fold: true}) != Query(qb, &QueryOptions{Fold: true}) {
			t.Errorf("%q and %q: folding told them apart", a, b)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) {
			if same := strings.EqualFold(a, b); same != (Fold(a) == Fold(b)) {
				t.Errorf("%q and %q: EqualFold is %v, but they fold to %q and %q", a, b, same, Fold(a), Fold(b))
			}
		}
		if Fold(Fold(a)) != Fold(a) {
			t.Errorf("Fold(%q) is not folded", a)
		}
	})
}

func sortedQuery(q url.Values) []string {
	var lines []string
	for name, values := range q {
		values = slices.Clone(values)
		slices.Sort(values)
		lines = append(lines, fmt.Sprintf("%q %q", name, values))
	}
	slices.Sort(lines)
	return lines
}

// FuzzShorten checks that shortened keys fit, and that distinct keys stay
// distinct, also if one was made to look like a shortened one.
func FuzzShorten(f *testing.F) {
	f.Add("a", "b", uint16(0))
	f.Add("a", "b", uint16(2000))
	f.Add(strings.Repeat("é", 40), "é", uint16(1000))
	f.Fuzz(func(t *testing.T, a, b string, n uint16) {
		pad := strings.Repeat("p", int(n)%2048)
		raws := []string{a, b, a + pad, b + pad, pad + a, pad + b, Shorten(a + pad), Shorten(pad + b)}
		seen := map[string]string{}
		for _, raw := range raws {
			short := Shorten(raw)
			if len(short) > MaxLength || len(raw) <= MaxLength && short != raw && !looksShortened(raw) {
				t.Errorf("%q: got %q", raw, short)
			}
			if other, ok := seen[short]; ok && other != raw {
				t.Errorf("%q and %q: got one key %q", other, raw, short)
			}
			seen[short] = raw
			if key := With(raw); len(key) > MaxLength || key == Shorten(raw+pad) && looksShortened(key) && key != With(raw+pad) {
				t.Errorf("%q: got the key %q", raw, key)
			}
		}
		if (With(a, pad) == With(b, pad)) != (a == b) {
			t.Errorf("With(%q) and With(%q) with padding: got the wrong equality", a, b)
		}
	})
}
