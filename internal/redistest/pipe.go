package redistest

import (
	"net"
	"sync"
)

// sendBuffered gives the client's end of a net.Pipe what a socket has: a buffer
// for what is sent. Without it a pipeline stalls: the client writes on before
// it reads, and the server waits for its replies to be read before it goes on.
type sendBuffered struct {
	net.Conn // immutable

	mu     sync.Mutex
	more   sync.Cond // unsent or err changed
	unsent []byte
	err    error // of the connection; nothing is sent any more
}

func newSendBuffered(c net.Conn) *sendBuffered {
	b := &sendBuffered{Conn: c}
	b.more.L = &b.mu
	go b.run() // until Close, or the other end is gone
	return b
}

// run sends what was written, until an error.
func (b *sendBuffered) run() {
	for {
		b.mu.Lock()
		for len(b.unsent) == 0 && b.err == nil {
			b.more.Wait()
		}
		sending, err := b.unsent, b.err
		b.unsent = nil
		b.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := b.Conn.Write(sending); err != nil {
			b.fail(err)
		}
	}
}

// Write keeps a copy of p to be sent, and does not block.
func (b *sendBuffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	b.unsent = append(b.unsent, p...)
	b.more.Signal()
	return len(p), nil
}

// Close drops what was not sent yet.
func (b *sendBuffered) Close() error {
	b.fail(net.ErrClosed)
	return b.Conn.Close()
}

func (b *sendBuffered) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
	}
	b.more.Signal()
}
