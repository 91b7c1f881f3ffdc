package near

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// link is the network between a client and its server.
type link struct {
	mu    sync.Mutex
	conns []net.Conn
	gate  chan struct{} // closed when a stall is over; nil: there is none
}

func (l *link) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return &stalled{Conn: conn, link: l, closed: make(chan struct{})}, nil
}

// cut ends all connections.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// stall lets nothing arrive for so long, and then everything.
func (l *link) stall(d time.Duration) {
	gate := make(chan struct{})
	l.mu.Lock()
	l.gate = gate
	l.mu.Unlock()
	time.Sleep(d)
	l.mu.Lock()
	l.gate = nil
	l.mu.Unlock()
	close(gate)
}

func (s *stalled) wait() {
	l := s.link
	l.mu.Lock()
	gate := l.gate
	l.mu.Unlock()
	if gate == nil {
		return
	}
	var over <-chan time.Time
	if d := s.deadline.Load(); d != nil && !d.IsZero() {
		over = time.After(time.Until(*d))
	}
	select {
	case <-gate:
	case <-over:
	case <-s.closed:
	}
}

// stalled is a connection whose reads wait for the end of a stall.
type stalled struct {
	net.Conn
	link     *link
	deadline atomic.Pointer[time.Time]
	once     sync.Once
	closed   chan struct{}
}

func (s *stalled) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

func (s *stalled) SetReadDeadline(t time.Time) error {
	s.deadline.Store(&t)
	return s.Conn.SetReadDeadline(t)
}

func (s *stalled) SetDeadline(t time.Time) error {
	s.deadline.Store(&t)
	return s.Conn.SetDeadline(t)
}

func (s *stalled) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.wait()
	return n, err
}
