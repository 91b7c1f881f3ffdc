package near

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/internal/redistest"
)

// tlsServer starts a server that also listens over TLS at addr, and returns what
// trusts it. The test is skipped if the redis-server here was built without TLS.
func tlsServer(t *testing.T) (server *redistest.Instance, addr string, trust *tls.Config) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err == nil {
		// It ends at once, for want of a port; without TLS for want of the option.
		out, _ := exec.Command("redis-server", "--port", "0", "--tls-port", "0", "--save", "").CombinedOutput()
		if !strings.Contains(string(out), "not listen anywhere") {
			t.Skip("redis-server was built without TLS")
		}
	}
	cert, key, pool := selfSigned(t)
	addr = freeAddr(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	server = redistest.Server(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	return server, addr, &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// selfSigned writes a certificate for 127.0.0.1 and its key to files.
func selfSigned(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "near"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(cert)
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret), pool
}

// The news come over TLS as everything else does.
func TestNewsOverTLS(t *testing.T) {
	server, addr, trust := tlsServer(t)
	for _, mode := range []Mode{Bounded, Validate, Ack} {
		t.Run(mode.String(), func(t *testing.T) {
			own := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: trust, ContextTimeoutEnabled: true})
			t.Cleanup(func() { _ = own.Close() })
			l := newLive(t, own, server.Client(), Options{Mode: mode, Bound: 400 * time.Millisecond})
			if n := listening(t, server); n != 1 {
				t.Errorf("%d listen, want 1", n)
			}
			l.holdServed("k", "old")
			l.must(server.Client().Del(l.ctx, prefix+"k").Err())
			l.eventually("the news", func() bool { return !l.held("k") })

			l.holdServed("k", "v")
			server.Kill()
			l.eventually("the end of trust", func() bool { return !l.held("k") })
			server.Restart()
			l.eventually("contact", func() bool { return l.near.Contact().State == Connected })
			l.eventually("the other's connection", func() bool { return l.others.Set(l.ctx, "k", "new", cache.EntryOptions{}) == nil })
			l.holdServed("k", "new")
		})
	}
}

// Who does not trust the server hears nothing, and says why.
func TestServerThatIsNotTrusted(t *testing.T) {
	_, addr, _ := tlsServer(t)
	own := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = own.Close() })
	c := nodeOf(t, own, Bounded, time.Second)
	eventually(t, "a reason", func() bool { return c.Contact().Err != nil })
	var why *tls.CertificateVerificationError
	if got := c.Contact(); got.State != Lost || got.Serving || !errors.As(got.Err, &why) {
		t.Errorf("Contact = %+v, want lost, for the certificate", got)
	}
}

// freeAddr returns a loopback address on which nobody listens now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
