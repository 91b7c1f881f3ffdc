package linear

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/internal/redistest"
)

// lossy returns a client of m that loses one reply in a hundred, and with it the
// connection.
func lossy(tb testing.TB, m *miniredis.Miniredis, seed uint64) redis.UniversalClient {
	tb.Helper()
	plain := redistest.MiniClient(tb, m)
	opts := *plain.Options()
	dial := opts.Dialer
	luck := &luck{rand: rand.New(rand.NewPCG(seed, 0))}
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &losing{Conn: c, luck: luck}, nil
	}
	client := redis.NewClient(&opts)
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// losing reads from a server, until it loses what it reads.
type losing struct {
	net.Conn
	luck *luck
}

func (c *losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.luck.runsOut() {
		_ = c.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

type luck struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (l *luck) runsOut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.IntN(100) == 0
}
