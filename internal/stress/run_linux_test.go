package stress_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
)

const (
	workers = 4
	// readsBetween is how much the workers shall get done between two kills: a
	// machine that is slow to start them would else do nothing else.
	readsBetween = 500
)

// run is one run of a subject.
type run struct {
	// Immutable.
	t          *testing.T
	assignment assignment
	board      *board
	rng        *rand.Rand
	said       *said

	// Confined to the test.
	next    int64 // process
	kills   int
	running [workers]*process
}

// process is a worker as the test sees it.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	ended chan struct{} // closed when it has ended; then err is set
	err   error
}

// said is what the workers wrote, of all of them. Safe for concurrent use.
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

// stress has workers use a subject for as long as d, and then until enough says
// so, while it kills one after the other. It returns what was counted and what
// the workers said.
func stress(t *testing.T, subject string, d time.Duration, enough func(counts) bool) (counts, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "board")
	b, unmap, err := openBoard(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmap(); err != nil {
			t.Error(err)
		}
	})
	seed := seedOf(t)
	r := &run{t: t, board: b, rng: rand.New(rand.NewPCG(seed, 0)), said: &said{}}
	r.assignment = assignment{Subject: subject, Addr: redistest.Server(t).Addr(), Board: path, Seed: seed}
	t.Cleanup(func() {
		for _, p := range r.running {
			if p != nil {
				p.kill()
			}
		}
	})
	began := time.Now()
	for i := range r.running {
		r.running[i] = r.start()
	}
	r.killUntil(began.Add(d), began.Add(10*d+time.Minute), enough)
	took := time.Since(began)
	r.stop()
	c := b.counted()
	t.Logf("%s: %d reads in %.1fs, %d of them in regions, %d stale; %d left early, %d loads, %d joined, %d joins refused, %d fills refused; %d writes, %d of unknown outcome, %d cut short; %d removals; %d under a mark, %d overlapped; %d expirations, %d of keys, %d of regions, %d of all; %d reads after a mark had run out; %d kills; seed %d",
		subject, c[reads], took.Seconds(), c[regionalReads], c[stale], c[left], c[loads], c[joined], c[joinsRefused], c[fillsRefused],
		c[writes], c[unknown], c[writes]-c[told]-c[unknown], c[removals], c[marked], c[overlapped],
		c[expiries], c[ofKeys], c[ofRegions], c[ofAll], c[outlived], r.kills, seed)
	return c, r.said.String()
}

// seedOf returns LARDER_STRESS_SEED, or a new seed.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("LARDER_STRESS_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("LARDER_STRESS_SEED: got %q, want a whole number", text)
	}
	return seed
}

// killUntil kills and replaces a worker every few hundred milliseconds until
// the run is over. A run that is not over by most has failed.
func (r *run) killUntil(least, most time.Time, enough func(counts) bool) {
	r.t.Helper()
	for readsThen := int64(0); ; {
		pauseErr := pause(r.t.Context(), 150*time.Millisecond+upTo(r.rng, 250*time.Millisecond))
		now, c := time.Now(), r.board.counted()
		switch {
		case pauseErr != nil:
			return
		case now.After(least) && r.kills > 0 && enough(c):
			return
		case now.After(most):
			r.t.Errorf("the time is over, and not enough happened: %v %q", c, unfair(c))
			return
		}
		for i, p := range r.running {
			if p.hasEnded() {
				r.t.Errorf("worker %d ended by itself: %v; the workers say:\n%s", i, p.err, r.said)
				return
			}
		}
		if c[reads]-readsThen < readsBetween {
			continue
		}
		readsThen = c[reads]
		i := r.rng.IntN(workers)
		r.running[i].kill()
		r.kills++
		r.running[i] = r.start()
	}
}

// start starts a worker.
func (r *run) start() *process {
	r.t.Helper()
	r.next++
	a := r.assignment
	a.Process = r.next
	text, err := json.Marshal(a)
	if err != nil {
		r.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(r.t.Context(), self)
	cmd.Env = append(os.Environ(), workerEnv+"="+string(text))
	cmd.Stdout, cmd.Stderr = r.said, r.said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("cannot start a worker: %v", err)
	}
	p := &process{cmd: cmd, stdin: stdin, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	return p
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// kill ends the process wherever it is, and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// stop has the workers end by themselves, without complaints.
func (r *run) stop() {
	r.t.Helper()
	for _, p := range r.running {
		_ = p.stdin.Close() // it may have ended by itself
	}
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for i, p := range r.running {
		select {
		case <-p.ended:
		case <-late.C:
			r.t.Errorf("worker %d does not end", i)
			return
		}
		if p.err != nil {
			r.t.Errorf("worker %d: %v; the workers say:\n%s", i, p.err, r.said)
		}
	}
}
