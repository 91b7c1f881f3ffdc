// Package failover has connections follow the primary that Redis Sentinel names.
package failover

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

const (
	// sentinelAddr is the address that go-redis gives a client with Sentinel.
	sentinelAddr = "FailoverClient"

	// questions is how often Sentinel is asked within the time that it is given,
	// and longInterval the longest pause between two.
	questions    = 4
	longInterval = time.Second

	// longSilence is the longest wait for an answer.
	longSilence = 2 * time.Second
)

// ErrMoved is what reading from a connection ends with that leads to the primary
// of before. It is a tracking.ErrTopology.
var ErrMoved = fmt.Errorf("%w: another server is the primary", tracking.ErrTopology)

// Follower keeps connections to the primary that Sentinel names. Its methods are
// safe for concurrent use.
//
// The interleaving it defends against: Sentinel promotes a replica because somebody
// asked for it, or because it could not reach a primary that we can. Others write to
// the new primary at once. The old one is told some ten seconds later; until then it
// goes on as before, has nothing to tell, and answers. go-redis drops the connections
// of its own client, but not those made with its options.
//
// So from the first connection on Sentinel is asked again and again, by dialling.
// Once it names another server all connections to the one before are closed. The risk
// accepted is that of several Sentinels of which ours is told late.
type Follower struct {
	// Immutable.
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	client *redis.Client // that dials with connect; it has no connections of its own
	ctx    context.Context
	end    context.CancelFunc

	running sync.WaitGroup

	mu     sync.Mutex
	within time.Duration
	asking bool
	closed bool
	dials  uint64 // that were begun
	last   uint64 // of these, the one begun last that has told
	addr   string // what it told
	asOf   time.Time
	conns  map[*followedConn]struct{}
}

// New returns a Follower for a client with Sentinel, and nil for others. It sends
// nothing before Client's first connection; from then on a change is noticed within
// about so long, or a second if that is longer. Close it.
func New(client redis.UniversalClient, within time.Duration) *Follower {
	given, ok := client.(*redis.Client)
	if !ok || given == nil || given.Options().Addr != sentinelAddr || isClosed(given) {
		return nil
	}
	o := *given.Options()
	f := newFollower(o.Dialer, within)
	o.Dialer, o.MinIdleConns = f.connect, 0
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	f.client = redis.NewClient(&o)
	return f
}

func newFollower(dial func(context.Context, string, string) (net.Conn, error), within time.Duration) *Follower {
	f := &Follower{dial: dial, within: within, conns: make(map[*followedConn]struct{})}
	f.ctx, f.end = context.WithCancel(context.Background())
	return f
}

// isClosed asks without a round trip.
func isClosed(c *redis.Client) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(c.Ping(ctx).Err(), redis.ErrClosed)
}

// Client returns a client whose connections, and those that are made with its
// options, follow. It belongs to the Follower.
func (f *Follower) Client() *redis.Client { return f.client }

// Within makes the Follower notice a change within about d, if it would take longer.
func (f *Follower) Within(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.within = min(f.within, d)
}

func (f *Follower) run() {
	for {
		f.mu.Lock()
		within := f.within
		f.mu.Unlock()
		timer := time.NewTimer(min(within/questions, longInterval))
		select {
		case <-timer.C:
		case <-f.ctx.Done():
			timer.Stop()
			return
		}
		f.ask(min(within, longSilence))
	}
}

// ask dials for the sake of what connect learns by it.
func (f *Follower) ask(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(f.ctx, timeout)
	defer cancel()
	o := f.client.Options()
	if conn, err := f.connect(ctx, o.Network, o.Addr); err == nil {
		_ = conn.Close()
	}
}

// Close ends the questions and closes Client, and waits until ctx ends. It is
// idempotent.
func (f *Follower) Close(ctx context.Context) error {
	f.mu.Lock()
	first := !f.closed
	f.closed = true
	f.mu.Unlock()
	f.end()
	ended := make(chan struct{})
	go func() {
		f.running.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if first {
		err = errors.Join(err, f.client.Close())
	}
	return err
}

// Limit returns asOf, or when Sentinel was asked last that named the server connected
// to, if that is earlier: of what happened later, a connected server that has nothing
// to tell need not know.
func (f *Follower) Limit(asOf time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.asOf.Before(asOf) {
		return f.asOf
	}
	return asOf
}

// connect dials the server that Sentinel names.
func (f *Follower) connect(ctx context.Context, network, addr string) (net.Conn, error) {
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
		return nil, ErrMoved
	}
	if raw, isRaw := inner.(syscall.Conn); isRaw {
		return rawFollowedConn{conn, raw}, nil
	}
	return conn, nil
}

// learn takes note of where a dial led. It returns the connections that lead
// elsewhere, and whether this one does not.
func (f *Follower) learn(conn *followedConn, dial uint64, began time.Time) (left []*followedConn, ok bool) {
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
	if !f.asking && !f.closed {
		f.asking = true
		f.running.Go(f.run)
	}
	return left, true
}

// followedConn is a connection that is closed when Sentinel names another server.
type followedConn struct {
	net.Conn
	follower *Follower
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
		err = ErrMoved
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
