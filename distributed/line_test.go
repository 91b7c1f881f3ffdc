package distributed_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	miniserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/internal/redistest"
)

// watch tells see about each command that m, which must be in use already, is
// about to run, those of scripts included.
func watch(m *miniredis.Miniredis, see func(cmd string)) {
	m.Server().SetPreHook(func(_ *miniserver.Peer, cmd string, _ ...string) bool {
		see(cmd)
		return false
	})
}

// line connects to miniredis. It holds what is sent until the server reads it,
// as a socket does and a bare net.Pipe does not: there, a long pipeline waits
// for the server to read while the server waits for its answers to be read. It
// counts what is sent, and loses answers on demand.
type line struct {
	sends atomic.Int64
	lose  atomic.Bool // answers are lost, and the connection with them
	down  atomic.Bool // new connections are refused
}

func miniClient(tb testing.TB, m *miniredis.Miniredis) *redis.Client {
	tb.Helper()
	return new(line).client(tb, m)
}

func (l *line) client(tb testing.TB, m *miniredis.Miniredis) *redis.Client {
	tb.Helper()
	o := *redistest.MiniClient(tb, m).Options()
	o.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if l.down.Load() {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		conn, err := m.Dial()
		if err != nil {
			return nil, err
		}
		return newLineConn(conn, l), nil
	}
	client := redis.NewClient(&o)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

type lineConn struct {
	net.Conn
	line *line
	pump sync.WaitGroup

	mu     sync.Mutex
	more   *sync.Cond
	queue  []byte
	closed bool
}

func newLineConn(conn net.Conn, l *line) *lineConn {
	c := &lineConn{Conn: conn, line: l}
	c.more = sync.NewCond(&c.mu)
	c.pump.Go(c.run)
	return c
}

// run sends what is queued until the connection is closed.
func (c *lineConn) run() {
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && !c.closed {
			c.more.Wait()
		}
		out := c.queue
		c.queue = nil
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return
		}
		if _, err := c.Conn.Write(out); err != nil {
			return
		}
	}
}

func (c *lineConn) Write(b []byte) (int, error) {
	c.line.sends.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.queue = append(c.queue, b...)
	c.more.Signal()
	return len(b), nil
}

func (c *lineConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.line.lose.Load() {
		_ = c.Close()
		return 0, io.EOF
	}
	return n, err
}

func (c *lineConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.more.Signal()
	c.mu.Unlock()
	err := c.Conn.Close()
	c.pump.Wait()
	return err
}

// SetDeadline and SetWriteDeadline leave out the pump, which must not give up
// because one call did.
func (c *lineConn) SetWriteDeadline(time.Time) error { return nil }

func (c *lineConn) SetDeadline(t time.Time) error { return c.Conn.SetReadDeadline(t) }
