package redistest

import (
	"context"
	"net"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Mini returns an empty miniredis without a listener; MiniClient talks to it.
// Inside a synctest bubble its keys expire in the bubble's time. It is closed
// when the test ends.
func Mini(tb testing.TB) *miniredis.Miniredis {
	tb.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	tb.Cleanup(m.Close)
	return m
}

// MiniClient returns a client of m that talks through in-memory pipes, so it
// works inside a synctest bubble (make both there). It retries nothing, and is
// closed when the test ends.
func MiniClient(tb testing.TB, m *miniredis.Miniredis) *redis.Client {
	tb.Helper()
	client := redis.NewClient(&redis.Options{
		Addr:                     "miniredis",
		Dialer:                   func(context.Context, string, string) (net.Conn, error) { return dialMini(m) },
		MaxRetries:               -1,
		ContextTimeoutEnabled:    true,
		DisableIdentity:          true,
		MaintNotificationsConfig: noMaintNotifications(),
	})
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func dialMini(m *miniredis.Miniredis) (net.Conn, error) {
	c, err := m.Dial()
	if err != nil {
		return nil, err
	}
	return newSendBuffered(c), nil
}
