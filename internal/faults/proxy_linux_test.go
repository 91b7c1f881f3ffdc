package faults_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands between one process and Redis.
type proxy struct {
	*toxiproxy.Proxy
	t *testing.T
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", upstream), t}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return p
}

// The ways to disturb a connection, as the library knows them.
const (
	latency     = `{"type":"latency","stream":"downstream","attributes":{"latency":30,"jitter":20}}`
	lostReplies = `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`
	lostCalls   = `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`
	reset       = `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":20}}`
	cutReply    = `{"type":"limit_data","stream":"downstream","attributes":{"bytes":301}}`
)

// disturb disturbs every connection that there is or will be, until calm.
func (p *proxy) disturb(toxic string) {
	p.t.Helper()
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) calm() { p.Toxics.ResetToxics(context.Background()) }

// newEcho returns the address of a server in this process that sends back what it
// gets.
func newEcho(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // it is closed
			}
			all.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // until the worker ends
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}
