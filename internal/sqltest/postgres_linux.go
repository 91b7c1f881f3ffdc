package sqltest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds how long the server may take until it answers.
const startTimeout = 30 * time.Second

// Server is a PostgreSQL server that a test owns, reached by a socket in a folder
// of its own.
type Server struct {
	// Immutable after start.
	dir  string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended

	databases atomic.Int32 // made so far
}

var errNone = errors.New("there is no PostgreSQL here")

// Postgres starts a server, which is stopped when the test ends. Without one on
// this machine the test is skipped, and with CI in the environment it fails. As
// root, which PostgreSQL refuses, it is run by the user postgres or else nobody.
func Postgres(tb testing.TB) *Server {
	tb.Helper()
	dir, err := os.MkdirTemp("", "larder") // the path of a socket must be short
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{dir: dir}
	tb.Cleanup(s.stop)
	err = s.start()
	if errors.Is(err, errNone) && os.Getenv("CI") == "" {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Database returns a new, empty database.
func (s *Server) Database(tb testing.TB) Database {
	tb.Helper()
	name := fmt.Sprint("test", s.databases.Add(1))
	if _, err := s.named("postgres").Open(tb).Exec("CREATE DATABASE " + name); err != nil {
		tb.Fatal(err)
	}
	return s.named(name)
}

func (s *Server) named(database string) Database {
	return Database{"pgx", fmt.Sprintf("host=%s user=larder dbname=%s sslmode=disable", s.dir, database)}
}

func (s *Server) start() error {
	initdb, err := program("initdb")
	if err != nil {
		return err
	}
	serve, err := program("postgres")
	if err != nil {
		return err
	}
	as, err := s.owner()
	if err != nil {
		return err
	}
	data := filepath.Join(s.dir, "data")
	create := exec.Command(initdb, "-D", data, "-U", "larder", "-A", "trust", "-E", "UTF8", "--no-locale")
	create.Dir, create.SysProcAttr = s.dir, as
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	log := &bytes.Buffer{} // exec copies into it until Wait returns
	s.cmd = exec.Command(serve, "-D", data, "-k", s.dir, "-c", "listen_addresses=", "-c", "max_connections=100")
	s.cmd.Dir, s.cmd.SysProcAttr = s.dir, as
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // stopped is how it ends
	}()
	if err := s.await(); err != nil {
		s.stop()
		return fmt.Errorf("PostgreSQL does not start: %w: %s", err, log)
	}
	return nil
}

// program finds one of PostgreSQL's, which Debian keeps out of the path.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return filepath.EvalSymlinks(path) // it looks for its files beside itself
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is good
	if len(found) == 0 {
		return "", errNone
	}
	return found[len(found)-1], nil
}

// owner gives the folder to a user that PostgreSQL runs as.
func (s *Server) owner() (*syscall.SysProcAttr, error) {
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT} // the test may die without running its cleanups
	if os.Getuid() != 0 {
		return as, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, uidErr := strconv.Atoi(who.Uid)
	gid, gidErr := strconv.Atoi(who.Gid)
	if err := errors.Join(uidErr, gidErr, os.Chown(s.dir, uid, gid)); err != nil {
		return nil, err
	}
	as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return as, nil
}

// await waits until the server answers, of which it says nothing by itself.
func (s *Server) await() (err error) {
	db, err := sql.Open("pgx", s.named("postgres").DSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); {
		if err = db.Ping(); err == nil {
			return nil
		}
		select {
		case <-s.done:
			return errors.New("it has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return err
}

// stop ends the server, and removes its folder.
func (s *Server) stop() {
	if s.done != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // the quick shutdown
		select {
		case <-s.done:
		case <-time.After(startTimeout):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	_ = os.RemoveAll(s.dir)
}
