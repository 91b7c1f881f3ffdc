package larder

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed/near"
	"github.com/larder-go/larder/internal/redistest"
)

// Every kind of Redis, by its URL, with and without a near cache.
func TestOpenRealServers(t *testing.T) {
	secure := newCertificate(t)
	for _, tc := range []struct {
		name string
		opts *Options
		url  func(t *testing.T) string
	}{
		{"server", nil, func(t *testing.T) string { return "redis://" + redistest.Server(t).Addr() }},
		{"IPv6", nil, func(t *testing.T) string {
			skipWithoutIPv6(t)
			return "redis://" + onIPv6(t, redistest.Server(t, "--bind", "127.0.0.1", "::1").Addr())
		}},
		{"socket", nil, func(t *testing.T) string {
			path := filepath.Join(t.TempDir(), "s")
			redistest.Server(t, "--unixsocket", path)
			return "unix://" + path
		}},
		{"TLS", &Options{TLS: &tls.Config{RootCAs: secure.roots}}, func(t *testing.T) string {
			return "rediss://" + secure.server(t)
		}},
		{"cluster", nil, func(t *testing.T) string {
			if testing.Short() {
				t.Skip("a cluster takes two seconds to start")
			}
			return "redis+cluster://" + strings.Join(redistest.Cluster(t, 3).Addrs(), ",")
		}},
		{"sentinel", nil, func(t *testing.T) string { return "redis+sentinel://" + redistest.Sentinel(t).Addr() + "/main" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			rawURL := tc.url(t)
			for _, parameters := range []string{"?budget=5s&prefix=a:", "?budget=5s&prefix=b:&near=bounded"} {
				useServer(t, rawURL+parameters, tc.opts)
			}
		})
	}
}

func useServer(t *testing.T, rawURL string, opts *Options) {
	t.Helper()
	b, err := Open(rawURL, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer closeBackend(t, b)
	for _, key := range []string{"k1", "k2", "k3", "k4"} { // of several nodes
		if err := b.Set(t.Context(), key, []byte(key), cache.EntryOptions{}); err != nil {
			t.Fatalf("%s: %v", rawURL, err)
		}
		if v, found, err := b.Get(t.Context(), key); string(v) != key || !found || err != nil {
			t.Errorf("%s: got %q, %v, %v", rawURL, v, found, err)
		}
	}
	c, ok := b.(*near.Cache)
	if !ok {
		return
	}
	for deadline := time.Now().Add(20 * time.Second); c.Contact().State != near.Connected; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: the near cache hears of no changes: %+v", rawURL, c.Contact())
		}
	}
}

// Without the server's certificate in Options.TLS a rediss URL trusts nobody,
// unless it says that it trusts anybody.
func TestOpenChecksCertificates(t *testing.T) {
	addr := newCertificate(t).server(t)
	useServer(t, "rediss://"+addr+"?budget=5s&skip_verify=true", nil)
	b, err := Open("rediss://"+addr+"?budget=5s", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeBackend(t, b)
	_, _, err = b.Get(t.Context(), "k")
	var unknown *tls.CertificateVerificationError
	if !errors.Is(err, cache.ErrUnavailable) || !errors.As(err, &unknown) {
		t.Errorf("got %v, want ErrUnavailable because of the certificate", err)
	}
}

// certificate is one for the loopback, and where it is.
type certificate struct {
	roots              *x509.CertPool
	chainFile, keyFile string
}

func newCertificate(t *testing.T) certificate {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	key, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	c := certificate{roots: x509.NewCertPool()}
	c.roots.AddCert(web.Certificate())
	c.chainFile = writePEM(t, "CERTIFICATE", web.Certificate().Raw)
	c.keyFile = writePEM(t, "PRIVATE KEY", key)
	return c
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// server starts a server that talks TLS with c, and returns where.
func (c certificate) server(t *testing.T) string {
	t.Helper()
	server := redistest.Server(t, "--tls-cert-file", c.chainFile, "--tls-key-file", c.keyFile,
		"--tls-ca-cert-file", c.chainFile, "--tls-auth-clients", "no")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := server.Client().ConfigSet(t.Context(), "tls-port", port).Err(); err != nil {
		t.Skipf("redis-server without TLS: %v", err)
	}
	return addr
}

func skipWithoutIPv6(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6: %v", err)
	}
	_ = l.Close()
}

func onIPv6(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("::1", port)
}
