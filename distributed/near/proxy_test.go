package near

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// proxy stands between a node and its server. It can swallow what the server
// sends, as a network does that has lost its way, and cut connections.
type proxy struct {
	tb     testing.TB
	target string
	listen net.Listener

	mu      sync.Mutex
	changed sync.Cond
	holes   func(tracking bool) bool // whether such a connection is a black hole now
	conns   map[net.Conn]*passage
	closed  bool

	running sync.WaitGroup
}

// passage is one connection through the proxy.
type passage struct {
	there    net.Conn
	tracking bool // it has asked for tracking
}

func newProxy(tb testing.TB, target string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{tb: tb, target: target, listen: l, conns: make(map[net.Conn]*passage), holes: func(bool) bool { return false }}
	p.changed.L = &p.mu
	p.running.Go(p.accept)
	tb.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listen.Addr().String() }

func (p *proxy) accept() {
	for {
		here, err := p.listen.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = here.Close()
			continue
		}
		l := &passage{there: there}
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			_ = here.Close()
			_ = there.Close()
			return
		}
		p.conns[here] = l
		p.mu.Unlock()
		p.running.Go(func() { p.copy(l, there, here, true) })
		p.running.Go(func() { p.copy(l, here, there, false) })
	}
}

// copy hands on until one side ends, but not into a hole.
func (p *proxy) copy(l *passage, to, from net.Conn, asking bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		if asking && bytes.Contains(buf[:n], []byte("TRACKING")) {
			l.tracking = true
		}
		for p.holes(l.tracking) && !p.closed {
			p.changed.Wait()
		}
		p.mu.Unlock()
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// hole makes the connections black holes for which it returns true.
func (p *proxy) hole(is func(tracking bool) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holes = is
	p.changed.Broadcast()
}

// cut resets the connections that are tracking, or all.
func (p *proxy) cut(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for here, l := range p.conns {
		if all || l.tracking {
			_ = here.(*net.TCPConn).SetLinger(0)
			_ = here.Close()
			_ = l.there.Close()
			delete(p.conns, here)
		}
	}
}

func (p *proxy) close() {
	_ = p.listen.Close()
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.cut(true)
	p.running.Wait()
}
