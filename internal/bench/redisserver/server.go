// Package redisserver runs a redis-server for a benchmark, on a free port of
// the loopback, in a temporary directory, and without persistence.
package redisserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// ErrMissing means that there is no redis-server on PATH.
var ErrMissing = errors.New("redisserver: redis-server is not on PATH")

const (
	startTimeout  = 10 * time.Second
	startAttempts = 5
	pollInterval  = 5 * time.Millisecond
)

// Server is a running redis-server. It is for one goroutine.
type Server struct {
	Addr string
	cmd  *exec.Cmd
	dir  string
}

// Start runs a redis-server and waits until it answers. ErrMissing if there is
// none. The caller calls Close.
func Start(ctx context.Context) (*Server, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrMissing
	}
	for range startAttempts { // somebody else may take the port before the server does
		var s *Server
		if s, err = start(ctx, bin); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("redisserver: it does not start: %w", err)
}

func start(ctx context.Context, bin string) (*Server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "larderbench")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	s := &Server{Addr: addr, dir: dir, cmd: exec.Command(bin, "--port", port, "--bind", "127.0.0.1",
		"--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")}
	s.cmd.SysProcAttr = dieWithParent()
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.waitUntilUp(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// waitUntilUp waits until the process itself answers, and not one that took its
// port.
func (s *Server) waitUntilUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		pid, err := s.info("process_id")
		if err == nil && pid == strconv.Itoa(s.cmd.Process.Pid) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval):
		}
	}
}

// Version returns the server's version.
func (s *Server) Version() (string, error) { return s.info("redis_version") }

// info asks the server for one field of INFO.
func (s *Server) info(field string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte("INFO server\r\nQUIT\r\n")); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && name == field {
			return value, nil
		}
	}
	return "", errors.Join(fmt.Errorf("redisserver: INFO lacks %s", field), lines.Err())
}

// Freeze stops the process (SIGSTOP): connections stay open and nothing
// answers.
func (s *Server) Freeze() error { return freeze(s.cmd.Process) }

// Thaw lets a frozen process go on.
func (s *Server) Thaw() error { return thaw(s.cmd.Process) }

// Close kills the server, frozen or not, and removes its directory.
func (s *Server) Close() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // killed is how it always ends
	return errors.Join(err, os.RemoveAll(s.dir))
}
