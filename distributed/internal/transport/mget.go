package transport

import (
	"bytes"
	"context"
	"io"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// minMGet is how many gets make an MGET worth while.
const minMGet = 4

// maxMissing is the share of misses beyond which gets are not sent by MGET.
const maxMissing = 1.0 / 8

// mgetCmd is an MGET that takes the place of several gets: it costs the server
// half as much. One lane uses it again and again.
//
// MGET answers for a key of another type as if it were missing. So a get that
// it found nothing for is sent again, as a GET, with the next round trip; and
// where many keys are missing, gets are not sent by MGET at all.
type mgetCmd struct {
	*redis.RawWriteToCmd
	args  []any
	calls []*call // in the order of their keys

	line []byte // what has come of the reply's first line
	head bool   // whether that is over
	next int    // the call whose value comes next
}

func newMGet() *mgetCmd {
	m := &mgetCmd{args: []any{"mget"}}
	m.RawWriteToCmd = redis.NewRawWriteToCmd(context.Background(), m, "mget")
	return m
}

// Args returns the command's arguments.
func (m *mgetCmd) Args() []any { return m.args }

func (m *mgetCmd) reset() {
	clear(m.args[1:])
	clear(m.calls)
	m.args, m.calls = m.args[:1], m.calls[:0]
	m.line, m.head, m.next = m.line[:0], false, 0
	m.SetErr(nil)
}

func (m *mgetCmd) add(c *call) {
	m.args = append(m.args, &c.key)
	m.calls = append(m.calls, c)
	c.shared = true
}

// Write takes in the next bytes of the reply.
func (m *mgetCmd) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if !m.head {
			p = m.begin(p)
			continue
		}
		if m.next == len(m.calls) {
			return 0, errProtocol
		}
		r := &m.calls[m.next].reply
		p = p[r.feed(p):]
		if r.over {
			m.next++
		}
	}
	return n, nil
}

// ReadFrom takes in everything that src has.
func (m *mgetCmd) ReadFrom(src io.Reader) (int64, error) {
	if !m.head || m.next == len(m.calls) {
		return 0, errProtocol
	}
	r := &m.calls[m.next].reply
	n, err := r.ReadFrom(src)
	if r.over {
		m.next++
	}
	return n, err
}

// begin reads the reply's first line and returns what follows it.
func (m *mgetCmd) begin(p []byte) []byte {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		m.line = append(m.line, p...)
		return nil
	}
	m.line = append(m.line, p[:i+1]...)
	m.head = true
	line := bytes.TrimSuffix(m.line, crlf)
	if string(line) == "*"+strconv.Itoa(len(m.calls)) {
		return p[i+1:]
	}
	var err error = errProtocol
	if len(line) > 0 && line[0] == '-' {
		err = replyError(line[1:])
	}
	m.fail(err)
	return p[i+1:]
}

// fail gives every get that has no answer this error.
func (m *mgetCmd) fail(err error) {
	for ; m.next < len(m.calls); m.next++ {
		if r := &m.calls[m.next].reply; !r.over {
			*r = reply{err: err, over: true}
		}
	}
}
