package stress_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/larder-go/larder/internal/redistest"
	"github.com/larder-go/larder/internal/swarmtest"
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
	t     *testing.T
	swarm *swarmtest.Swarm[assignment, board]
	task  assignment
	rng   *rand.Rand

	// Confined to the test.
	kills   int
	running [workers]*swarmtest.Process
}

// stress has workers use a subject for as long as d, and then until enough says
// so, while it kills one after the other. It returns what was counted and what
// the workers said.
func stress(t *testing.T, subject string, d time.Duration, enough func(counts) bool) (counts, string) {
	t.Helper()
	seed := seedOf(t)
	task := assignment{Subject: subject, Addr: redistest.Server(t).Addr(), Seed: seed}
	r := &run{t: t, swarm: swarmtest.New[assignment, board](t), task: task, rng: rand.New(rand.NewPCG(seed, 0))}
	began := time.Now()
	for i := range r.running {
		r.running[i] = r.swarm.Start(r.task)
	}
	r.killUntil(began.Add(d), began.Add(10*d+time.Minute), enough)
	took := time.Since(began)
	if err := r.swarm.End(); err != nil {
		t.Errorf("%v; the workers say:\n%s", err, r.swarm.Said())
	}
	c := r.swarm.Board.counted()
	t.Logf("%s: %d reads in %.1fs, %d of them in regions, %d stale; %d left early, %d loads, %d joined, %d joins refused, %d fills refused; %d writes, %d of unknown outcome, %d cut short; %d removals; %d under a mark, %d overlapped; %d expirations, %d of keys, %d of regions, %d of all; %d reads after a mark had run out; %d kills; seed %d",
		subject, c[reads], took.Seconds(), c[regionalReads], c[stale], c[left], c[loads], c[joined], c[joinsRefused], c[fillsRefused],
		c[writes], c[unknown], c[writes]-c[told]-c[unknown], c[removals], c[marked], c[overlapped],
		c[expiries], c[ofKeys], c[ofRegions], c[ofAll], c[outlived], r.kills, seed)
	return c, r.swarm.Said()
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
		pauseErr := swarmtest.Pause(r.t.Context(), 150*time.Millisecond+upTo(r.rng, 250*time.Millisecond))
		now, c := time.Now(), r.swarm.Board.counted()
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
			if ended, err := p.Ended(); ended {
				r.t.Errorf("worker %d ended by itself: %v; the workers say:\n%s", i, err, r.swarm.Said())
				return
			}
		}
		if c[reads]-readsThen < readsBetween {
			continue
		}
		readsThen = c[reads]
		i := r.rng.IntN(workers)
		r.running[i].Kill()
		r.kills++
		r.running[i] = r.swarm.Start(r.task)
	}
}
