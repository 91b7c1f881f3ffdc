package transport

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// caution is how long callers whose context may end are kept off the direct
// way after one of them left a round trip: that costs the connection, whereas
// a lane goes on without the caller.
const caution = time.Second

// aloneLocked returns a lane for a round trip of c alone if there are few callers:
// who has hardly anybody to share with shall not pay for being handed over.
func (n *node) aloneLocked(ctx context.Context, c *call) *lane {
	if n.line == nil || len(n.queue) > 0 || len(n.background) > 0 || len(n.idle) < len(n.running) {
		return nil
	}
	if c.start.Before(n.cautious) && ctx.Done() != nil {
		return nil
	}
	l := n.freeLocked()
	if l != nil {
		l.batch = append(l.batch[:0], c)
		l.departLocked(c.start)
		n.sweepLocked()
		n.lanes.Add(1)
	}
	return l
}

// flyAlone makes the round trip of a lane from aloneLocked, on its caller's own
// goroutine. Its call is in a last state then.
func (l *lane) flyAlone(ctx context.Context) {
	if ctx.Done() != nil {
		l.roundTripUntil(ctx)
	} else {
		l.roundTrip()
	}
	l.busy.Store(false)
	l.node.lanes.Done()
}

// freeLocked takes a lane for a direct call, or returns nil if all are in use.
func (n *node) freeLocked() *lane {
	for i, l := range n.direct {
		if l == nil {
			l = newLane(n, false)
			l.line = n.line()
			l.client = l.line.client
			n.direct[i] = l
		}
		if !l.busy.Load() {
			l.busy.Store(true)
			return l
		}
	}
	return nil
}

// roundTripUntil is the round trip of a caller that leaves when ctx ends. Then it
// cuts the line, so that nothing blocks any more.
func (l *lane) roundTripUntil(ctx context.Context) {
	c := l.batch[0]
	stop := context.AfterFunc(ctx, l.hangUp)
	l.roundTrip()
	if stop() {
		return
	}
	<-l.line.hungUp // or it would cut the next round trip
	if l.gaveUp {
		c.giveUp()
	}
	l.node.mu.Lock()
	l.node.cautious = time.Now().Add(caution)
	l.node.mu.Unlock()
	l.gaveUp = false
	l.line.cut.Store(false)
}

// hangUp ends the direct round trip that is under way.
func (l *lane) hangUp() {
	l.line.hangUp()
	l.node.mu.Lock()
	if t := l.trip; t != nil && t.Err() == nil {
		close(t.done) // for who waits for a connection
	}
	l.node.mu.Unlock()
	l.line.hungUp <- struct{}{}
}

// line is the own client of a lane for direct calls. Unlike that of the others
// it can be cut: what go-redis waits for on a connection ends at once, as if timed
// out, and go-redis then throws the connection away. So no reply that comes
// too late is ever taken for that to a later command.
type line struct {
	client *redis.Client
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	hungUp chan struct{} // receives once per hangUp of the lane
	cut    atomic.Bool

	mu    sync.Mutex
	conns map[*lineConn]struct{} // mostly one
}

// newLine returns a line to where client leads. It does not dial. create is
// what makes a client, nil meaning redis.NewClient.
func newLine(client *redis.Client, create func(*redis.Options) *redis.Client) *line {
	if create == nil {
		create = redis.NewClient
	}
	given := client.Options()
	l := &line{dial: given.Dialer, hungUp: make(chan struct{}, 1), conns: make(map[*lineConn]struct{})}
	o := clientOptions(*given, given.ReadTimeout)
	o.Dialer = l.connect
	l.client = create(o)
	return l
}

func (l *line) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	inner, err := l.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := &lineConn{Conn: inner, line: l}
	l.mu.Lock()
	l.conns[conn] = struct{}{}
	l.mu.Unlock()
	if raw, ok := inner.(syscall.Conn); ok {
		return rawLineConn{conn, raw}, nil
	}
	return conn, nil
}

// hangUp cuts the line until cut is false again.
func (l *line) hangUp() {
	l.cut.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		_ = conn.Conn.SetDeadline(past)
	}
}

var past = time.Unix(1, 0)

// lineConn is a connection of a line. As long as the line is cut its deadlines
// are in the past, whatever go-redis sets: that it sets them before each use
// makes the connection work again afterwards.
type lineConn struct {
	net.Conn
	line *line
}

// rawLineConn is one that lets go-redis look whether the socket is still well.
// It must not be one over TLS, where that finds what is none of go-redis's.
type rawLineConn struct {
	*lineConn
	syscall.Conn
}

// NetConn returns the inner connection, which go-redis looks for sockets in.
func (c *lineConn) NetConn() net.Conn { return c.Conn }

// SetDeadline sets both deadlines.
func (c *lineConn) SetDeadline(t time.Time) error { return c.set(c.Conn.SetDeadline, t) }

// SetReadDeadline sets the deadline of reads.
func (c *lineConn) SetReadDeadline(t time.Time) error { return c.set(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline sets the deadline of writes.
func (c *lineConn) SetWriteDeadline(t time.Time) error { return c.set(c.Conn.SetWriteDeadline, t) }

// set sets a deadline. It looks at the line afterwards: a hangUp that comes
// later than that sets its own.
func (c *lineConn) set(deadline func(time.Time) error, t time.Time) error {
	if err := deadline(t); err != nil {
		return err
	}
	if c.line.cut.Load() {
		return deadline(past)
	}
	return nil
}

// Close closes the connection.
func (c *lineConn) Close() error {
	c.line.mu.Lock()
	delete(c.line.conns, c)
	c.line.mu.Unlock()
	return c.Conn.Close()
}
