package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatComesBackMovesTheShare(t *testing.T) {
	const key, stranger, resident = 7, 8, 100
	for _, tc := range []struct {
		name    string
		from    queue
		since   int // how many left the same queue after the key
		enters  uint32
		another queue // that as many have left, too
		want    float64
	}{
		{"at once, from the window", queueWindow, 0, key, queueNone, windowStep},
		{"at once, from the main part", queueMain, 0, key, queueNone, -mainStep},
		{"ten places would have kept it in the window", queueWindow, 10, key, queueNone, windowStep / 10},
		{"ten places would have kept it in the main part", queueMain, 10, key, queueNone, -mainStep / 10},
		{"who leaves the other queue does not count", queueMain, 10, key, queueWindow, -mainStep / 10},
		{"half of the cache would have kept it", queueWindow, 50, key, queueNone, windowStep / 50},
		{"more than half would be needed", queueWindow, 51, key, queueNone, 0},
		{"who never left says nothing", queueWindow, 10, stranger, queueNone, 0},
		{"nor one that is in the same place", queueWindow, 10, key + mostGhosts, queueNone, 0},
	} {
		const before = 0.4
		c := climber{share: before}
		c.leaves(key, tc.from, resident)
		for i := range tc.since {
			c.leaves(key+1+uint32(i), tc.from, resident)
			if tc.another != queueNone {
				c.leaves(key+101+uint32(i), tc.another, resident)
			}
		}
		if tc.enters == stranger {
			c.ghosts[stranger] = ghost{}
		}
		c.enters(tc.enters, resident)
		if got := c.share - before; math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: the share moved by %v, want %v", tc.name, got, tc.want)
		}
		after := c.share
		if c.enters(tc.enters, resident); c.share != after {
			t.Errorf("%s: it counts twice", tc.name)
		}
	}
}

// Who makes room because it has expired would not have been kept in a larger queue.
func TestWhoHasExpiredIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options[int]{Limits: Limits{Entries: 2}})
		mustSet(t, e, expiring(e, "a", time.Millisecond))
		mustSet(t, e, node("b", 0))
		time.Sleep(2 * clockPeriod)
		mustSet(t, e, node("c", 0))
		if left := e.policy.climber.left; left != [queues]uint32{} {
			t.Errorf("got %v counted as gone from the queues, want none", left)
		}
		mustSet(t, e, node("d", 0))
		if left := e.policy.climber.left; left[queueWindow]+left[queueMain] != 1 {
			t.Errorf("got %v counted as gone from the queues, want one", left)
		}
	})
}

func TestTheShareStaysWithinItsBounds(t *testing.T) {
	for _, tc := range []struct {
		from queue
		want float64
	}{{queueWindow, mostShare}, {queueMain, leastShare}} {
		c := climber{share: firstShare}
		for range 1000 {
			c.leaves(1, tc.from, 100)
			c.enters(1, 100)
		}
		if c.share != tc.want {
			t.Errorf("queue %d: got a share of %v, want %v", tc.from, c.share, tc.want)
		}
	}
}

// A large cache remembers one key in eight, and takes eight that left since for
// one: it learns as a smaller one does, not faster.
func TestALargeCacheRemembersASample(t *testing.T) {
	const resident = 8 * mostGhosts
	c := climber{share: firstShare}
	for i := range uint32(resident) {
		c.leaves(i, queueWindow, resident)
	}
	remembered := 0
	for _, g := range c.ghosts {
		if g.from != queueNone {
			remembered++
		}
	}
	if remembered != mostGhosts {
		t.Errorf("%d keys are remembered, want %d, all of the sample", remembered, mostGhosts)
	}
	c = climber{share: firstShare}
	c.leaves(0, queueWindow, resident)
	c.leaves(mostGhosts, queueWindow, resident) // in the same place, and not of the sample
	if c.enters(0, resident); c.share == firstShare {
		t.Error("a key of the sample was forgotten for another that is not")
	}
	c = climber{share: firstShare}
	for i := range uint32(81) {
		c.leaves(i, queueWindow, resident)
	}
	c.enters(0, resident)
	if got, want := c.share, firstShare+windowStep/10; math.Abs(got-want) > 1e-12 {
		t.Errorf("got a share of %v, want %v, for 80 of 2,048 places", got, want)
	}
}

// demand reads a key and stores it if it is not there, and reports which.
func demand(t *testing.T, e *Engine[int], key string) bool {
	if _, ok := e.Get(key); ok {
		return true
	}
	mustSet(t, e, node(key, 0))
	return false
}

// twice requests each key again after gap others, and then never: nothing but
// recency tells which to keep.
func twice(gap int) func() string {
	next, again := 0, false
	return func() string {
		if again = !again; again {
			next++
			return fmt.Sprint("twice ", next)
		}
		return fmt.Sprint("twice ", next-gap)
	}
}

// popular requests some keys more often than others, all the time.
func popular() func() string {
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 8, 20_000)
	return func() string { return fmt.Sprint("popular ", z.Uint64()) }
}

// inTurn requests that many keys again and again.
func inTurn(keys int) func() string {
	next := 0
	return func() string {
		next = (next + 1) % keys
		return fmt.Sprint("in turn ", next)
	}
}

func TestTheWindowIsAsLargeAsRequestsNeed(t *testing.T) {
	const size, requests = 250, 80_000
	recency, frequency := twice(50), popular()
	e := New(Options[int]{Limits: Limits{Entries: size}})
	defer e.Close()
	for _, phase := range []struct {
		name        string
		next        func() string
		least, most float64 // share, at any time of the second half
		hits        float64 // of its requests
	}{
		{"popular keys at first", frequency, 0, 0.2, 0.52},
		{"a loop", inTurn(330), 0, 0.1, 0.72},
		{"keys that come twice", recency, 0.15, mostShare, 0.45},
		{"popular keys again", frequency, 0, 0.2, 0.52},
	} {
		hits := 0
		for i := range requests {
			hit := demand(t, e, phase.next())
			if i < requests/2 {
				continue
			}
			if hit {
				hits++
			}
			if share := e.policy.climber.share; share < phase.least || share > phase.most {
				t.Fatalf("%s: a share of %.3f after %d requests, want %.3f to %.3f", phase.name, share, i, phase.least, phase.most)
			}
		}
		if got := float64(hits) / (requests / 2); got < phase.hits {
			t.Errorf("%s: %.3f of the requests hit, want %.3f or more", phase.name, got, phase.hits)
		}
	}
}
