package tracking

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// heard keeps pushes as text.
type heard struct{ events []string }

func (h *heard) changed(key string) error { h.events = append(h.events, "changed "+key); return nil }
func (h *heard) flushed() error           { h.events = append(h.events, "flushed"); return nil }
func (h *heard) message(channel, payload string) error {
	h.events = append(h.events, channel+" "+payload)
	return nil
}

// show writes a reply down.
func show(r reply) string {
	var b strings.Builder
	b.WriteString(string(r.kind) + r.text)
	for _, e := range r.elems {
		b.WriteString("(" + show(e) + ")")
	}
	return b.String()
}

func TestReader(t *testing.T) {
	long := strings.Repeat("k", maxKey+1)
	big := strings.Repeat("t", 3*readBuffer)
	cases := map[string]struct {
		in   string
		want string // of the reply; empty: an error
		push []string
	}{
		"simple":        {in: "+PONG\r\n", want: "+PONG"},
		"error":         {in: "-ERR no\r\n", want: "-ERR no"},
		"number":        {in: ":-3\r\n", want: ":-3"},
		"bulk":          {in: "$3\r\na\nb\r\n", want: "$a\nb"},
		"long bulk":     {in: fmt.Sprintf("$%d\r\n%s\r\n", len(big), big), want: "$" + big},
		"empty bulk":    {in: "$0\r\n\r\n", want: "$"},
		"null bulk":     {in: "$-1\r\n", want: "_"},
		"null":          {in: "_\r\n", want: "_"},
		"null array":    {in: "*-1\r\n", want: "_"},
		"verbatim":      {in: "=7\r\ntxt:abc\r\n", want: "=abc"},
		"map":           {in: "%1\r\n+role\r\n$6\r\nmaster\r\n", want: "%(+role)($master)"},
		"nested":        {in: "*2\r\n*1\r\n:1\r\n~1\r\n#t\r\n", want: "*(*(:1))(~(#t))"},
		"attribute":     {in: "|1\r\n+a\r\n+b\r\n+c\r\n", want: "+c"},
		"changed":       {in: ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n+x\r\n", want: "+x", push: []string{"changed a", "changed b"}},
		"no keys":       {in: ">2\r\n+invalidate\r\n*0\r\n+x\r\n", want: "+x", push: nil},
		"flushed":       {in: ">2\r\n$10\r\ninvalidate\r\n_\r\n+x\r\n", want: "+x", push: []string{"flushed"}},
		"flushed as v2": {in: ">2\r\n$10\r\ninvalidate\r\n*-1\r\n+x\r\n", want: "+x", push: []string{"flushed"}},
		"a long key":    {in: fmt.Sprintf(">2\r\n$10\r\ninvalidate\r\n*2\r\n$%d\r\n%s\r\n$1\r\nb\r\n+x\r\n", len(long), long), want: "+x", push: []string{"changed b"}},
		"message":       {in: ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n+x\r\n", want: "+x", push: []string{"c m"}},
		"other push":    {in: ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n+x\r\n", want: "+x"},

		"nothing":                {in: ""},
		"unknown kind":           {in: "?x\r\n"},
		"no carriage return":     {in: "+PONG\n"},
		"cut line":               {in: "+PON"},
		"cut bulk":               {in: "$5\r\nab"},
		"bulk without end":       {in: "$2\r\nabcd"},
		"bad length":             {in: "$x\r\n"},
		"negative length":        {in: "$-2\r\n"},
		"long length":            {in: "$999999999999999999999\r\n"},
		"too long a text":        {in: fmt.Sprintf("$%d\r\n", maxText+1)},
		"too long a line":        {in: "+" + strings.Repeat("x", maxLine) + "\r\n"},
		"endless line":           {in: "+" + strings.Repeat("x", readBuffer)},
		"too many":               {in: fmt.Sprintf("*%d\r\n", maxElems+1)},
		"too deep":               {in: strings.Repeat("*1\r\n", maxDepth+1) + ":1\r\n"},
		"empty push":             {in: ">0\r\n+x\r\n"},
		"odd invalidate":         {in: ">3\r\n$10\r\ninvalidate\r\n*0\r\n+a\r\n"},
		"invalidate of a number": {in: ">2\r\n$10\r\ninvalidate\r\n:1\r\n"},
		"key that is no text":    {in: ">2\r\n$10\r\ninvalidate\r\n*1\r\n:1\r\n"},
		"null key":               {in: ">2\r\n$10\r\ninvalidate\r\n*1\r\n$-1\r\n"},
		"cut keys":               {in: ">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n", push: []string{"changed a"}},
	}
	for name, c := range cases {
		for how, in := range map[string]io.Reader{"": strings.NewReader(c.in), " bytewise": iotest.OneByteReader(strings.NewReader(c.in))} {
			t.Run(name+how, func(t *testing.T) {
				var h heard
				r, err := newReader(in).reply(&h)
				if got := show(r); c.want != "" && (err != nil || got != c.want) {
					t.Errorf("got %.50q and %v, want %.50q", got, err, c.want)
				}
				if c.want == "" && err == nil {
					t.Errorf("got %.50q, want an error", show(r))
				}
				if !slices.Equal(h.events, c.push) {
					t.Errorf("pushes: got %q, want %q", h.events, c.push)
				}
			})
		}
	}
}

// What a server announces costs nothing; only what it sends.
func TestLengthsAreNotBelieved(t *testing.T) {
	for _, in := range []string{
		fmt.Sprintf("$%d\r\nx", maxText),
		fmt.Sprintf("*%d\r\n", maxElems),
		">2\r\n+invalidate\r\n*1000000000\r\n",
		">2\r\n+invalidate\r\n*1\r\n$500000000\r\nx",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := newReader(strings.NewReader(in)).reply(&heard{})
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.EOF) {
			t.Errorf("%q: got %v, want EOF", in, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%q: got %d bytes allocated, want few", in, n)
		}
	}
}

// FuzzReader wants no panic, an end, and that the way the bytes come in changes
// nothing.
func FuzzReader(f *testing.F) {
	f.Add([]byte(">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n+PONG\r\n"))
	f.Add([]byte(">2\r\n$10\r\ninvalidate\r\n_\r\n%1\r\n+role\r\n+master\r\n"))
	f.Add([]byte("|1\r\n+a\r\n*2\r\n:1\r\n$-1\r\n=7\r\ntxt:abc\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(from io.Reader) (all []string) {
			var h heard
			rd := newReader(from)
			for {
				r, err := rd.reply(&h)
				if err != nil {
					return append(all, h.events...)
				}
				all = append(all, show(r))
			}
		}
		whole := read(strings.NewReader(string(in)))
		bytewise := read(iotest.OneByteReader(strings.NewReader(string(in))))
		if !slices.Equal(whole, bytewise) {
			t.Errorf("in one piece %q, bytewise %q", whole, bytewise)
		}
	})
}

func TestAppendCommand(t *testing.T) {
	const want = "*2\r\n$4\r\nPING\r\n$0\r\n\r\n"
	if got := string(appendCommand(nil, "PING", "")); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
