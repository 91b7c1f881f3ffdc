package near

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/larder-go/larder/distributed/internal/tracking"
)

// follower keeps the connections of a cache to the primary that Sentinel names.
//
// The interleaving it defends against: Sentinel promotes a replica because somebody
// asked for it, or because it could not reach a primary that we can. Others write to
// the new primary at once. The old one is told some ten seconds later; until then it
// goes on as before, has nothing to tell, and answers heartbeats. go-redis drops the
// connections of its own client, but not those made with its options.
//
// So Sentinel is asked several times in a bound, by dialling. Once it names another
// server all connections to the one before are closed, and there is contact only as
// of the last time that it named the one which is connected to. The risk accepted is
// that of several Sentinels of which ours is told late.
type follower struct {
	// Immutable.
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	client *redis.Client // that dials with connect; it has no connections of its own
	bound  time.Duration

	end     context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	dials uint64 // that were begun
	last  uint64 // of these, the one begun last that has told
	addr  string // what it told
	asOf  time.Time
	conns map[*followedConn]struct{}
}

const (
	// failoverAddr is the address that go-redis gives a client with Sentinel.
	failoverAddr = "FailoverClient"

	// questions is how often Sentinel is asked in a bound.
	questions = 4
)

var errMoved = fmt.Errorf("%w: another server is the primary", tracking.ErrTopology)

// follow returns a follower for a client with Sentinel, and nil for others. It
// sends nothing before it is started.
func follow(client redis.UniversalClient, bound time.Duration) *follower {
	given, ok := client.(*redis.Client)
	if !ok || given == nil || given.Options().Addr != failoverAddr || isClosed(given) {
		return nil
	}
	o := *given.Options()
	f := &follower{dial: o.Dialer, bound: bound, conns: make(map[*followedConn]struct{})}
	o.Dialer, o.MinIdleConns = f.connect, 0
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	f.client = redis.NewClient(&o)
	return f
}

// isClosed asks without a round trip.
func isClosed(c *redis.Client) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(c.Ping(ctx).Err(), redis.ErrClosed)
}

// start begins to ask.
func (f *follower) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.end = cancel
	f.running.Go(func() { f.run(ctx) })
}

func (f *follower) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		f.ask(ctx)
		timer.Reset(min(f.bound/questions, longInterval))
	}
}

// ask dials for the sake of what connect learns by it.
func (f *follower) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, min(f.bound, longSilence))
	defer cancel()
	o := f.client.Options()
	if conn, err := f.connect(ctx, o.Network, o.Addr); err == nil {
		_ = conn.Close()
	}
}

// close ends the questions and waits until ctx ends.
func (f *follower) close(ctx context.Context) error {
	f.end()
	return errors.Join(await(ctx, &f.running), f.client.Close())
}

// limit returns as of when there is contact if all changes that the connected
// server had made at asOf are known.
func (f *follower) limit(asOf time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return earlier(asOf, f.asOf)
}

// connect dials the server that Sentinel names.
func (f *follower) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	f.mu.Lock()
	f.dials++
	dial, began := f.dials, time.Now()
	f.mu.Unlock()
	inner, err := f.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := &followedConn{Conn: inner, follower: f}
	left, ok := f.learn(conn, dial, began)
	for _, c := range left {
		c.leave()
	}
	if !ok {
		conn.leave()
		return nil, errMoved
	}
	if raw, isRaw := inner.(syscall.Conn); isRaw {
		return rawFollowedConn{conn, raw}, nil
	}
	return conn, nil
}

// learn takes note of where a dial led. It returns the connections that lead
// elsewhere, and whether this one does not.
func (f *follower) learn(conn *followedConn, dial uint64, began time.Time) (left []*followedConn, ok bool) {
	addr := conn.RemoteAddr().String()
	f.mu.Lock()
	defer f.mu.Unlock()
	if dial < f.last {
		if addr != f.addr {
			return nil, false
		}
	} else {
		f.last, f.asOf = dial, began
		if addr != f.addr {
			f.addr = addr
			for c := range f.conns {
				left = append(left, c)
			}
			clear(f.conns)
		}
	}
	f.conns[conn] = struct{}{}
	return left, true
}

// followedConn is a connection that is closed when Sentinel names another server.
type followedConn struct {
	net.Conn
	follower *follower
	left     atomic.Bool
}

// rawFollowedConn is one that lets go-redis look whether the socket is still well.
type rawFollowedConn struct {
	*followedConn
	syscall.Conn
}

// NetConn returns the inner connection, which go-redis looks for sockets in.
func (c *followedConn) NetConn() net.Conn { return c.Conn }

// leave closes the connection, without a word to a server that may not listen.
func (c *followedConn) leave() {
	c.left.Store(true)
	if over, ok := c.Conn.(interface{ NetConn() net.Conn }); ok { // TLS
		_ = over.NetConn().Close()
		return
	}
	_ = c.Conn.Close()
}

// Read reads from the connection.
func (c *followedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.left.Load() {
		err = errMoved
	}
	return n, err
}

// Close closes the connection.
func (c *followedConn) Close() error {
	c.follower.mu.Lock()
	delete(c.follower.conns, c)
	c.follower.mu.Unlock()
	return c.Conn.Close()
}
