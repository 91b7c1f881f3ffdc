package distributed_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	miniserver "github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
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

// line connects to miniredis, counts what is sent, and loses answers on demand.
type line struct {
	sends atomic.Int64
	lose  atomic.Bool // answers are lost, and the connection with them
	once  atomic.Bool // so is the next one
	down  atomic.Bool // new connections are refused
}

func (l *line) client(tb testing.TB, m *miniredis.Miniredis) *redis.Client {
	tb.Helper()
	o := *redistest.MiniClient(tb, m).Options()
	dial := o.Dialer
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if l.down.Load() {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		conn, err := dial(ctx, network, addr)
		return &lineConn{conn, l}, err
	}
	client := redis.NewClient(&o)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

type lineConn struct {
	net.Conn
	line *line
}

func (c *lineConn) Write(b []byte) (int, error) {
	c.line.sends.Add(1)
	return c.Conn.Write(b)
}

func (c *lineConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.line.lose.Load() || c.line.once.CompareAndSwap(true, false) {
		_ = c.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

// watchArgs is watch with the arguments of commands, those of scripts excluded.
// It uses c first, because m must be in use already.
func watchArgs(tb testing.TB, m *miniredis.Miniredis, c cache.Cache, see func(cmd string, args []string)) {
	tb.Helper()
	wantMiss(tb, c, "other")
	m.Server().SetPreHook(func(_ *miniserver.Peer, cmd string, args ...string) bool {
		see(cmd, args)
		return false
	})
}
