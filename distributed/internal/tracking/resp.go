package tracking

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

const (
	maxKey     = 64 << 10 // a longer key is passed over; cache.MaxKeyLength is far below
	maxText    = 8 << 20  // CLUSTER NODES of a thousand nodes is below 1 MiB
	maxLine    = 4 << 10
	maxElems   = 1 << 16 // of one reply or push, keys of an invalidation aside
	maxDepth   = 8
	readBuffer = 32 << 10
)

var errProtocol = errors.New("larder: the server's answer is not RESP3")

// reply is a reply of a server. Kinds are RESP3's; a null of any form is '_', and
// maps have their keys and values in elems by turns.
type reply struct {
	kind  byte
	text  string // of a scalar
	elems []reply
}

// field returns the value of a key of a map.
func (r reply) field(name string) (value reply, ok bool) {
	if r.kind != '%' {
		return reply{}, false
	}
	for i := 0; i+1 < len(r.elems); i += 2 {
		if r.elems[i].text == name {
			return r.elems[i+1], true
		}
	}
	return reply{}, false
}

// reader reads RESP3. Its memory follows what has really come, never a length
// that was announced only. After an error it must not be used.
type reader struct {
	in *bufio.Reader
}

func newReader(in io.Reader) *reader { return &reader{bufio.NewReaderSize(in, readBuffer)} }

// pushes takes what a server sends unasked.
type pushes interface {
	changed(key string) error // one key of an invalidation
	flushed() error
	message(channel, payload string) error
}

// reply returns the next reply, after it has given all that comes before to p.
func (r *reader) reply(p pushes) (reply, error) {
	for {
		kind, err := r.in.ReadByte()
		if err != nil {
			return reply{}, err
		}
		switch kind {
		case '>':
			err = r.push(p)
		case '|':
			err = r.attribute()
		default:
			elems := maxElems
			return r.value(kind, 0, &elems)
		}
		if err != nil {
			return reply{}, err
		}
	}
}

// push reads the rest of a push.
func (r *reader) push(p pushes) error {
	n, err := r.length()
	if err != nil {
		return err
	}
	if n < 1 || n > maxElems {
		return errProtocol
	}
	elems := maxElems
	name, err := r.next(0, &elems)
	if err != nil {
		return err
	}
	if name.text == "invalidate" {
		if n != 2 {
			return errProtocol
		}
		return r.invalidation(p)
	}
	rest := make([]reply, 0, min(n, 4))
	for range n - 1 {
		e, err := r.next(0, &elems)
		if err != nil {
			return err
		}
		rest = append(rest, e)
	}
	if name.text == "message" && len(rest) == 2 {
		return p.message(rest[0].text, rest[1].text)
	}
	return nil
}

// invalidation reads the keys of one message one by one: there can be millions.
func (r *reader) invalidation(p pushes) error {
	kind, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	if kind == '_' {
		if line, err := r.line(); err != nil || line != "" {
			return errors.Join(errProtocol, err)
		}
		return p.flushed()
	}
	if kind != '*' {
		return errProtocol
	}
	n, err := r.length()
	if err != nil {
		return err
	}
	if n < 0 {
		return p.flushed()
	}
	for range n {
		if err := r.key(p); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) key(p pushes) error {
	kind, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	if kind != '$' {
		return errProtocol
	}
	n, err := r.length()
	if err != nil {
		return err
	}
	switch {
	case n < 0:
		return errProtocol
	case n > maxKey:
		if _, err := r.in.Discard(n); err != nil {
			return err
		}
		return r.newline()
	}
	key, err := r.text(n)
	if err != nil {
		return err
	}
	return p.changed(key)
}

// attribute passes over what may come before any reply.
func (r *reader) attribute() error {
	elems := maxElems
	_, err := r.value('%', 0, &elems)
	return err
}

// next reads a value within another.
func (r *reader) next(depth int, elems *int) (reply, error) {
	kind, err := r.in.ReadByte()
	if err != nil {
		return reply{}, err
	}
	return r.value(kind, depth, elems)
}

// value reads the rest of a value; elems is how many more there may be within.
func (r *reader) value(kind byte, depth int, elems *int) (reply, error) {
	switch kind {
	case '+', '-', ':', ',', '(', '#', '_':
		line, err := r.line()
		return reply{kind: kind, text: line}, err
	case '$', '=', '!':
		n, err := r.length()
		if err != nil || n < 0 {
			return reply{kind: '_'}, err
		}
		if n > maxText {
			return reply{}, errProtocol
		}
		text, err := r.text(n)
		if kind == '=' && len(text) >= len("txt:") {
			text = text[len("txt:"):] // how to show it is of no interest
		}
		return reply{kind: kind, text: text}, err
	case '*', '~', '%':
		n, err := r.length()
		if err != nil || n < 0 {
			return reply{kind: '_'}, err
		}
		if kind == '%' {
			n *= 2
		}
		if n > *elems || depth == maxDepth {
			return reply{}, errProtocol
		}
		*elems -= n
		v := reply{kind: kind}
		for range n {
			e, err := r.next(depth+1, elems)
			if err != nil {
				return reply{}, err
			}
			v.elems = append(v.elems, e)
		}
		return v, nil
	}
	return reply{}, errProtocol
}

// length reads a line that is a number of bytes or elements, -1 for a null.
func (r *reader) length() (int, error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(line, 10, 31)
	if err != nil || n < -1 {
		return 0, errProtocol
	}
	return int(n), nil
}

func (r *reader) line() (string, error) {
	line, err := r.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", err
	}
	if len(line) > maxLine || len(line) < 2 || line[len(line)-2] != '\r' || err != nil {
		return "", errProtocol
	}
	return string(line[:len(line)-2]), nil
}

// text reads n bytes and the end of a line.
func (r *reader) text(n int) (string, error) {
	var b strings.Builder
	for left := n; left > 0; {
		chunk, err := r.in.Peek(min(left, readBuffer))
		if err != nil {
			return "", err
		}
		b.Write(chunk)
		left -= len(chunk)
		_, _ = r.in.Discard(len(chunk)) // it is in the buffer
	}
	return b.String(), r.newline()
}

func (r *reader) newline() error {
	var end [2]byte
	if _, err := io.ReadFull(r.in, end[:]); err != nil {
		return err
	}
	if end != [2]byte{'\r', '\n'} {
		return errProtocol
	}
	return nil
}

// appendCommand appends a command as Redis takes it.
func appendCommand(b []byte, args ...string) []byte {
	b = append(b, '*')
	b = strconv.AppendInt(b, int64(len(args)), 10)
	b = append(b, "\r\n"...)
	for _, a := range args {
		b = append(b, '$')
		b = strconv.AppendInt(b, int64(len(a)), 10)
		b = append(b, "\r\n"...)
		b = append(b, a...)
		b = append(b, "\r\n"...)
	}
	return b
}
