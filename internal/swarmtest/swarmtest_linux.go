package swarmtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const (
	// orderEnv holds an order where the test binary shall be a worker.
	orderEnv = "LARDER_SWARM_ORDER"

	// endTimeout is how long workers may take to end.
	endTimeout = 30 * time.Second
)

// order is what a worker is told.
type order struct {
	Number int
	Board  string // its file
	Task   json.RawMessage
}

// Swarm is the workers of one test, each with a task T, and their board B. It is
// confined to the test; Said may be called by anybody.
type Swarm[T, B any] struct {
	// Board is what all processes share, zero at first.
	Board *B

	tb      testing.TB
	path    string
	said    said
	started int
	running []*Process // those that were not killed
}

// New returns a Swarm without workers. Those that are left when the test ends are
// killed.
func New[T, B any](tb testing.TB) *Swarm[T, B] {
	tb.Helper()
	s := &Swarm[T, B]{tb: tb, path: filepath.Join(tb.TempDir(), "board")}
	b, unmap, err := openBoard[B](s.path)
	if err != nil {
		tb.Fatal(err)
	}
	s.Board = b
	tb.Cleanup(func() {
		for _, p := range s.running {
			p.Kill()
		}
		if err := unmap(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// openBoard maps the board in the file at path, which it makes if need be.
func openBoard[B any](path string) (b *B, unmap func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // the mapping stays
	size := int(reflect.TypeFor[B]().Size())
	if err := f.Truncate(int64(size)); err != nil {
		return nil, nil, err
	}
	memory, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return (*B)(unsafe.Pointer(unsafe.SliceData(memory))), func() error { return syscall.Munmap(memory) }, nil
}

// Start starts a worker. They are numbered from 0, each anew.
func (s *Swarm[T, B]) Start(task T) *Process {
	s.tb.Helper()
	p, err := s.start(task)
	if err != nil {
		s.tb.Fatalf("cannot start a worker: %v", err)
	}
	s.started++
	s.running = append(s.running, p)
	return p
}

func (s *Swarm[T, B]) start(task T) (*Process, error) {
	o := order{Number: s.started, Board: s.path}
	var err error
	if o.Task, err = json.Marshal(task); err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), orderEnv+"="+string(text))
	cmd.Stdout, cmd.Stderr = &s.said, &s.said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{number: o.Number, cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// Said is what the workers wrote, all of them. It is empty if all is well.
func (s *Swarm[T, B]) Said() string { return s.said.String() }

// End has the workers end that were not killed, and waits until they have. The
// error joins one for each that failed.
func (s *Swarm[T, B]) End() error {
	for _, p := range s.running {
		_ = p.stdin.Close() // it may have ended by itself
	}
	late := time.NewTimer(endTimeout)
	defer late.Stop()
	var errs []error
	for _, p := range s.running {
		select {
		case <-p.ended:
		case <-late.C:
			return errors.Join(append(errs, fmt.Errorf("worker %d does not end", p.number))...)
		}
		if p.err != nil && !p.killed {
			errs = append(errs, fmt.Errorf("worker %d: %w", p.number, p.err))
		}
	}
	return errors.Join(errs...)
}

// Process is a worker as its test sees it.
type Process struct {
	number int
	cmd    *exec.Cmd
	stdin  io.Closer
	killed bool
	ended  chan struct{} // closed when it has ended; then err is set
	err    error
}

// Ended reports whether the process has ended, and how if that was by itself.
func (p *Process) Ended() (bool, error) {
	select {
	case <-p.ended:
		return true, p.err
	default:
		return false, nil
	}
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill ends the process wherever it is, and waits until it is gone.
func (p *Process) Kill() {
	p.killed = true
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// said is what the workers wrote. Safe for concurrent use.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}
