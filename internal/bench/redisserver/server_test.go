package redisserver

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestServerLivesFromStartToClose(t *testing.T) {
	s, err := Start(t.Context())
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	version, err := s.Version()
	if err != nil || !strings.Contains(version, ".") {
		t.Errorf("got version %q and %v, want one like 7.0", version, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.DialTimeout("tcp", s.Addr, time.Second); err == nil {
		conn.Close()
		t.Error("the server still listens after Close")
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want the directory gone", err)
	}
}

func TestCloseEndsAFrozenServer(t *testing.T) {
	s, err := Start(t.Context())
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Freeze(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStartWithoutRedisSaysSo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Start(t.Context()); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
}
