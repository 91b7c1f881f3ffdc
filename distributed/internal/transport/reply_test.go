package transport

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

var replyCases = []struct {
	raw   string
	value string
	err   string // "" for a value
}{
	{raw: "$5\r\nhello\r\n", value: "hello"},
	{raw: "$0\r\n\r\n", value: ""},
	{raw: "$4\r\n\r\n\r\n\r\n", value: "\r\n\r\n"},
	{raw: "$-1\r\n", err: redis.Nil.Error()},
	{raw: "_\r\n", err: redis.Nil.Error()},
	{raw: "-WRONGTYPE no\r\n", err: "WRONGTYPE no"},
	{raw: ":1\r\n", err: errProtocol.Error()},
	{raw: "$x\r\n", err: errProtocol.Error()},
	{raw: "$9999999999999\r\n", err: errProtocol.Error()},
	{raw: "$-2\r\n", err: errProtocol.Error()},
	{raw: "\r\n", err: errProtocol.Error()},
	{raw: "$5\r\nhel", err: errProtocol.Error()},
	{raw: "$" + strings.Repeat("0", 100) + "2\r\nab\r\n", value: "ab"},
}

// ways are the ways in which go-redis, or a later one, may hand over a reply.
var ways = map[string]func(w io.Writer, raw string) error{
	"at once": func(w io.Writer, raw string) error { return write(w, raw) },
	"byte by byte": func(w io.Writer, raw string) error {
		for i := range len(raw) {
			if err := write(w, raw[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	},
	"as a stream": func(w io.Writer, raw string) error {
		_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(raw))
		return err
	},
	"header and stream": func(w io.Writer, raw string) error {
		header, rest, _ := strings.Cut(raw, "\r\n")
		if err := errors.Join(write(w, header), write(w, "\r\n")); err != nil || rest == "" {
			return err
		}
		_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader(rest))
		return err
	},
}

func write(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func TestReplyInAnyPieces(t *testing.T) {
	for name, way := range ways {
		for _, c := range replyCases {
			var r reply
			if err := way(&r, c.raw); err != nil && c.err == "" {
				t.Errorf("%s, %.20q: %v", name, c.raw, err)
			}
			v, err := r.result()
			if err == nil && (c.err != "" || string(v) != c.value || v == nil) ||
				err != nil && err.Error() != c.err && !(c.err != "" && errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("%s, %.20q: got %q, %v, want %q, %v", name, c.raw, v, err, c.value, c.err)
			}
		}
	}
}

func TestMGetReplyReachesEachCall(t *testing.T) {
	const raw = "*4\r\n$1\r\na\r\n$-1\r\n$0\r\n\r\n$3\r\n\r\nd\r\n"
	want := []string{"a", "nil", "", "\r\nd"}
	for _, step := range []int{1, 2, 3, 7, len(raw)} {
		m := newMGet()
		for range want {
			m.add(newCall())
		}
		for rest := raw; rest != ""; {
			n := min(step, len(rest))
			if err := write(m, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		for i, c := range m.calls {
			v, err := c.outcome()
			if got := string(v); err == nil && got != want[i] || err != nil && (want[i] != "nil" || !errors.Is(err, redis.Nil)) {
				t.Errorf("steps of %d, value %d: got %q, %v, want %q", step, i, v, err, want[i])
			}
		}
		if err := write(m, "$1\r\nx\r\n"); err == nil {
			t.Error("took a fifth value of four")
		}
	}
}

// An MGET that the server answers otherwise must not leave a call without an
// outcome, or with another's.
func TestMGetReplyThatIsNone(t *testing.T) {
	for _, raw := range []string{"-LOADING busy\r\n", "*1\r\n$1\r\na\r\n", "*3\r\n$1\r\na\r\n", "+OK\r\n", "\r\n", "$1\r\na\r\n"} {
		m := newMGet()
		for range 2 {
			m.add(newCall())
		}
		_ = write(m, raw)
		for i, c := range m.calls {
			if v, err := c.outcome(); err == nil {
				t.Errorf("%q: call %d got %q, want an error", raw, i, v)
			}
		}
	}
}

var large = regexp.MustCompile(`\$0*[0-9]{7}`)

func FuzzReply(f *testing.F) {
	for _, c := range replyCases {
		f.Add([]byte(c.raw), 3)
	}
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		if large.Match(raw) {
			t.Skip("asks for much memory, as it would of go-redis itself")
		}
		step = max(1, step)
		var whole, pieces reply
		_, wholeErr := whole.Write(raw)
		var pieceErr error
		for rest := raw; len(rest) > 0 && pieceErr == nil; {
			n := min(step, len(rest))
			_, pieceErr = pieces.Write(rest[:n])
			rest = rest[n:]
		}
		a, aErr := whole.result()
		b, bErr := pieces.result()
		if !bytes.Equal(a, b) || (aErr == nil) != (bErr == nil) || (wholeErr == nil) != (pieceErr == nil) {
			t.Errorf("at once %q, %v, %v; in steps of %d %q, %v, %v", a, aErr, wholeErr, step, b, bErr, pieceErr)
		}
	})
}
