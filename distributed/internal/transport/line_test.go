package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larder-go/larder/internal/redistest"
)

// Over TLS a line can be cut, too, and go-redis is not shown the socket.
func TestLineOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	config := web.TLS.Clone()
	web.Close()
	config.NextProtos = nil
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: func(args []string) string {
			if args[1] == "never" {
				return ""
			}
			return echo(args)
		}}
		client := s.clientThat(func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go s.serve(tls.Server(there, config))
			return tls.Client(here, &tls.Config{InsecureSkipVerify: true}), nil
		})
		defer client.Close()
		tr := open(t, client, Options{})
		for range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Millisecond)
			if v, err := tr.Get(ctx, "k"); err != nil || string(v) != "k" {
				t.Errorf("got %q, %v", v, err)
			}
			_, err := tr.Get(ctx, "never")
			checkLeft(t, err, context.DeadlineExceeded, false)
			cancel()
			time.Sleep(caution)
		}
		noLanes(t, tr)
		conn, err := client.Options().Dialer(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		l := &line{dial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }, conns: make(map[*lineConn]struct{})}
		wrapped, _ := l.connect(context.Background(), "", "")
		if _, ok := wrapped.(syscall.Conn); ok {
			t.Error("a TLS connection is shown as a socket")
		}
		_ = conn.(*tls.Conn).NetConn().Close()
	})
}

func TestLineConnLetsGoRedisLookAtSockets(t *testing.T) {
	client := redistest.Server(t).Client()
	l := newLine(client, nil)
	defer l.client.Close()
	o := l.client.Options()
	conn, err := o.Dialer(context.Background(), o.Network, o.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := conn.(interface{ NetConn() net.Conn }); !ok {
		t.Error("a connection does not tell its inner one")
	}
	if _, ok := conn.(rawLineConn); !ok {
		t.Errorf("a socket is wrapped as %T", conn)
	}
	if err := conn.Close(); err != nil || len(l.conns) != 0 {
		t.Errorf("Close: %v, %d connections kept", err, len(l.conns))
	}
}

// go-redis may set a deadline just after the line was cut: that must not undo it.
func TestDeadlineSetOnACutLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: silent}
		client := s.client()
		defer client.Close()
		l := newLine(client, nil)
		defer l.client.Close()
		conn, err := l.client.Options().Dialer(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		read := func() time.Duration {
			start := time.Now()
			if err := conn.SetReadDeadline(start.Add(time.Second)); err != nil {
				t.Error(err)
			}
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %v, want a timeout", err)
			}
			return time.Since(start)
		}
		l.hangUp()
		if d := read(); d != 0 {
			t.Errorf("a read on a cut line took %v", d)
		}
		l.cut.Store(false)
		if d := read(); d != time.Second {
			t.Errorf("a read afterwards took %v, want 1s", d)
		}
	})
}
