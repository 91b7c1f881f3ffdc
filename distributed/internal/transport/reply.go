package transport

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// reply takes in the raw reply of a GET as go-redis reads it, and puts the
// value into memory of its exact size: one allocation per hit.
type reply struct {
	value []byte // nil until there is one
	err   error
	line  []byte // what has come of a line
	small [32]byte
	rest  [32]byte // what ReadFrom reads beyond the value
	need  int      // bytes of the value, and its CRLF, still to come
	over  bool
}

// maxValue is the longest value that is believed: twice what Redis stores by
// default. A longer one is a stream out of step.
const maxValue = 1 << 30

var crlf = []byte("\r\n")

var errProtocol = errors.New("larder: unexpected reply")

// replyError is an error reply: a redis.Error.
type replyError string

func (e replyError) Error() string { return string(e) }

// RedisError makes it a redis.Error.
func (replyError) RedisError() {}

// result returns the value, redis.Nil, or the server's error.
func (r *reply) result() ([]byte, error) {
	if r.err == nil && !r.over {
		return nil, errProtocol
	}
	return r.value, r.err
}

// copy returns the reply with a value of its own.
func (r *reply) copy() reply {
	return reply{value: bytes.Clone(r.value), err: r.err, over: r.over}
}

// Write takes in the next bytes.
func (r *reply) Write(p []byte) (int, error) {
	if n := r.feed(p); n < len(p) {
		return n, errProtocol
	}
	return len(p), nil
}

// feed takes in bytes until the reply is over, and returns how many.
func (r *reply) feed(p []byte) (n int) {
	for n < len(p) && !r.over {
		if r.need > 0 {
			n += r.fill(p[n:])
			continue
		}
		n += r.readLine(p[n:])
	}
	return n
}

// readLine takes bytes of the reply's first line.
func (r *reply) readLine(p []byte) int {
	if r.line == nil {
		r.line = r.small[:0]
	}
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		r.line = append(r.line, p...)
		return len(p)
	}
	r.line = append(r.line, p[:i+1]...)
	r.parse(bytes.TrimSuffix(r.line, crlf))
	r.line = nil
	return i + 1
}

// ReadFrom takes in everything that src has. It reads a value straight into
// its own memory.
func (r *reply) ReadFrom(src io.Reader) (n int64, err error) {
	if size := r.need - 2; size > 0 && len(r.value) == 0 {
		m, err := io.ReadFull(src, r.value[:size])
		r.value, r.need, n = r.value[:m], r.need-m, int64(m)
		if err != nil {
			return n, err
		}
	}
	for !r.over {
		m, err := src.Read(r.rest[:])
		n += int64(m)
		if _, werr := r.Write(r.rest[:m]); werr != nil {
			return n, werr
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// fill takes bytes of the value and of its CRLF.
func (r *reply) fill(p []byte) int {
	taken := min(len(p), r.need)
	if n := min(taken, max(0, r.need-2)); n > 0 {
		r.value = append(r.value, p[:n]...)
	}
	r.need -= taken
	r.over = r.need == 0
	return taken
}

// parse reads a line without its CRLF.
func (r *reply) parse(line []byte) {
	if len(line) == 0 {
		r.err = errProtocol
		return
	}
	switch line[0] {
	case '$':
		n, err := strconv.Atoi(string(line[1:]))
		switch {
		case err != nil || n < -1 || n > maxValue:
			r.err = errProtocol
		case n == -1:
			r.err = redis.Nil
		default:
			r.value, r.need = make([]byte, 0, n), n+2
			return
		}
	case '_':
		r.err = redis.Nil
	case '-':
		r.err = replyError(line[1:])
	default:
		r.err = errProtocol
	}
	r.over = true
}
