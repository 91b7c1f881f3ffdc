package queuetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/larder-go/larder/queue"
)

func modelCases() []testCase {
	var all []testCase
	for mode, name := range map[queue.Mode]string{queue.Replace: "whole values", queue.Park: "parked values", queue.Merge: "increments"} {
		all = append(all, testCase{"Model/" + name, "Random calls give what they give on the memory queue.", func(e *env) {
			seeds := uint64(20)
			if !e.virtual { // on a server each call is a round trip
				seeds = 5
			}
			for seed := range seeds {
				s := e.open()
				model, err := queue.NewMemory(nil)
				e.must(err, "NewMemory")
				m := &modelRun{e: e, mode: mode, rng: rand.New(rand.NewPCG(seed, uint64(mode))),
					sides: [2]*side{newSide(e, s.Queue), newSide(e, model)}}
				m.run(seed)
			}
		}})
	}
	slices.SortFunc(all, func(a, b testCase) int { return strings.Compare(a.name, b.name) })
	return all
}

// modelRun makes the same calls on two queues.
type modelRun struct {
	e     *env
	mode  queue.Mode
	rng   *rand.Rand
	sides [2]*side
	trace []string
}

// side is one of the queues and what is known of it. Sequences differ between
// the two and are named by the order in which they were given out.
type side struct {
	subject
	letters queue.DeadLetters
	flusher queue.Flusher
	claims  map[string]queue.Claim // by key, the last one
	names   map[uint64]int
	barrier queue.Barrier
}

func newSide(e *env, q queue.Queue) *side {
	s := &side{subject: subject{e, q}, claims: map[string]queue.Claim{}, names: map[uint64]int{}}
	s.letters, s.flusher = capability[queue.DeadLetters](s.subject), capability[queue.Flusher](s.subject)
	return s
}

func (m *modelRun) run(seed uint64) {
	for step := range 100 {
		op := m.draw(step)
		got, want := op(m.sides[0]), op(m.sides[1])
		m.trace = append(m.trace, want)
		if got != want {
			m.e.fail("seed %d, step %d: got\n%s\nwant, after\n%s", seed, step, got, strings.Join(m.trace, "\n"))
		}
	}
}

// draw returns the next call, with what it returned as text.
func (m *modelRun) draw(step int) func(s *side) string {
	key := string(rune('a' + m.rng.IntN(3)))
	result := []queue.Result{queue.Done, queue.Failed, queue.Deferred, queue.Dead}[m.rng.IntN(4)]
	revive, deleted, straight := m.rng.IntN(2) == 0, m.rng.IntN(5) == 0, m.rng.IntN(6) > 0
	switch m.rng.IntN(10) {
	case 0, 1, 2, 3:
		w := queue.Write{Key: key, Payload: []byte(fmt.Sprint(step)), Deleted: deleted, Mode: m.mode}
		return func(s *side) string { return s.enqueue(w, straight) }
	case 4, 5:
		return func(s *side) string { return s.claimAll() }
	case 6, 7:
		return func(s *side) string { return s.settleOne(key, result) }
	case 8:
		return func(s *side) string { return s.letter(key, revive) }
	}
	return func(s *side) string { return s.mark() }
}

func (s *side) enqueue(w queue.Write, straight bool) string {
	if w.Mode == queue.Merge && straight {
		if open := s.look(w.Key).Open; open != nil {
			w.Onto = open.Sequence
			w.Payload = append(append(open.Payload, '+'), w.Payload...)
		}
	}
	sequence, err := s.Enqueue(s.ctx, w)
	if err != nil && !errors.Is(err, queue.ErrConflict) {
		s.must(err, "Enqueue")
	}
	if err == nil {
		s.names[sequence] = len(s.names) + 1
	}
	return fmt.Sprintf("enqueue %s %s deleted=%t: %t %s", w.Key, w.Payload, w.Deleted, err == nil, s.all())
}

func (s *side) claimAll() string {
	var got []string
	for _, c := range s.claim(10, long) {
		s.claims[c.Key] = c
		got = append(got, fmt.Sprint(s.item(&c.Item), " attempt ", c.Attempt))
	}
	slices.Sort(got)
	return fmt.Sprint("claim ", got, s.all())
}

func (s *side) settleOne(key string, r queue.Result) string {
	c, ok := s.claims[key]
	if !ok {
		return "settle nothing"
	}
	got, err := s.Settle(s.ctx, []queue.Outcome{{Claim: c, Result: r}})
	s.must(err, "Settle")
	return fmt.Sprintf("settle %s as %d: %v %s", key, r, got, s.all())
}

func (s *side) letter(key string, revive bool) string {
	letters, err := s.letters.Dead(s.ctx, "", 10)
	s.must(err, "Dead")
	var got []string
	for _, l := range letters {
		got = append(got, fmt.Sprint(s.item(&l.Item), " attempts ", l.Attempts))
		if l.Key != key {
			continue
		}
		if revive {
			s.must(s.letters.Revive(s.ctx, key, l.Sequence), "Revive")
		} else {
			s.must(s.letters.Drop(s.ctx, key, l.Sequence), "Drop")
		}
	}
	return fmt.Sprintf("dead %v, revive %s %t %s", got, key, revive, s.all())
}

func (s *side) mark() string {
	got := 0
	if s.barrier != nil {
		n, err := s.flusher.Before(s.ctx, s.barrier)
		s.must(err, "Before")
		got = n
	}
	var err error
	s.barrier, err = s.flusher.Barrier(s.ctx)
	s.must(err, "Barrier")
	now, err := s.flusher.Before(s.ctx, s.barrier)
	s.must(err, "Before")
	return fmt.Sprintf("before the last barrier %d, now %d", got, now)
}

// all tells everything that is queued.
func (s *side) all() string {
	states, err := s.Lookup(s.ctx, []string{"a", "b", "c"})
	s.must(err, "Lookup")
	var b strings.Builder
	for i, st := range states {
		fmt.Fprintf(&b, " | %c: ahead %s open %s dead %t", 'a'+i, s.item(st.Ahead), s.item(st.Open), st.Dead)
	}
	st := s.stats()
	fmt.Fprintf(&b, " | %d queued %d dead %d in flight", st.Queued, st.Dead, st.InFlight)
	return b.String()
}

func (s *side) item(it *queue.Item) string {
	if it == nil {
		return "-"
	}
	return fmt.Sprintf("%s=%s deleted %t (%d, %d, %d writes)", it.Key, it.Payload, it.Deleted, s.names[it.Sequence], s.names[it.First], it.Writes)
}
