package protocol

import "iter"

// reads visits what reader i can do next.
//
// A get reads the key, and with regions the generation. On a miss it leads a
// flight (LEASE, load, FILL) or joins one of its process: without asking if that
// has not begun to read, else if PEEK says that it is up to date. Between any
// two of these steps anything may happen. Some things need no step of their own,
// for whatever they can lead to is checked anyway:
//
//   - A get that begins some time before it reads the key: its floor is lower.
//   - A caller that joins, late and without asking, a flight that began after the
//     caller did: it gets what it would have got by joining at once.
//   - A load that waits while somebody else has the lease, and asks again: a
//     LEASE that is served later. It may also load at once, and does.
//   - A caller that shares the PEEK of another, sent after it arrived: a PEEK of
//     its own, served right after.
//   - A lease that is extended: one that does not run out.
//   - A reader that crashes, or whose caller leaves: it takes no further step.
func (m *model) reads(s State, i int, visit visit) {
	switch r := &s.Readers[i]; r.Phase {
	case Idle:
		if r.Left > 0 {
			m.look(s, i, visit)
		}
	case Seen, Checking:
		m.readGeneration(s, i, visit)
	case Missed:
		m.board(s, i, visit)
	case Told:
		told := r.Flight
		if !m.join(s, i, m.mayJoin(told), visit) {
			lead(s, i, visit)
		}
	case Asking:
		m.askLease(s, i, visit)
	case Loading:
		m.load(s, i, visit)
	case Loaded:
		if m.NamesLate {
			m.judge(s, i, visit)
			return
		}
		m.endFlight(s, i, visit)
	case Judged:
		m.conclude(s, i, visit)
	}
}

// look begins a get: it reads the key. A value that depends on a region is no
// hit before the region's generation was read.
func (m *model) look(s State, i int, visit visit) {
	r := &s.Readers[i]
	r.Left--
	r.Floor = s.Acked
	step := Step{Who: i, Op: Look, Outcome: Miss}
	if k := s.Key; k.Kind == Filled {
		r.Version, r.Flight.Stamp = k.Value.Version, k.Value.Stamp
		step.Outcome, step.Version = Hit, k.Value.Version
	}
	switch {
	case m.Regions:
		r.Phase = Seen
	case step.Outcome == Hit:
		returns(r, r.Version, &step)
	default:
		r.Phase = Missed
	}
	visit(s, step)
}

// readGeneration is a hit, also for who waits, if the value that was seen has
// the stamp that is current. If not, what was read is the stamp of the load that
// may follow.
//
// The value is read first and the generation then: by a generation that was read
// before, a value may look current to callers who came in between although its
// region was expired before they did.
func (m *model) readGeneration(s State, i int, visit visit) {
	r := &s.Readers[i]
	current := m.generation(&s)
	step := Step{Who: i, Op: ReadGeneration, Outcome: Miss}
	switch {
	case r.Version != 0 && r.Flight.Stamp == current:
		step.Outcome = Hit
		m.deliver(&s, i, r.Version, &step)
	case r.Phase == Checking:
		r.Phase, r.Version, r.Flight.Stamp = Asking, 0, current
	default:
		r.Phase, r.Version, r.Flight.Stamp = Missed, 0, current
	}
	visit(s, step)
}

// board looks for a flight to join after a miss. A caller may always lead one
// itself instead.
func (m *model) board(s State, i int, visit visit) {
	lead(s, i, visit)
	asks := false
	for j := range m.others(i) {
		switch other := s.Readers[j]; other.Phase {
		case Told:
			if m.SharesOldAnswers {
				t := s
				t.Readers[i].Phase, t.Readers[i].Flight = Told, other.Flight
				visit(t, Step{Who: i, Op: SendPeek, Outcome: Miss})
			}
		case Asking:
			t := s
			t.Readers[i].wait(j)
			visit(t, Step{Who: i, Op: Board, Outcome: JoinsEarly})
		case Loading, Loaded:
			asks = true
		case Judged:
			asks = asks || m.JoinsWhileJudged
		}
	}
	if m.JoinsUnasked {
		m.join(s, i, func(Flight) bool { return true }, visit)
	} else if asks {
		m.peek(s, i, visit)
	}
}

// others are the other readers of reader i's process.
func (m *model) others(i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for j := range m.Readers {
			if j != i && m.Readers[j] == m.Readers[i] && !yield(j) {
				return
			}
		}
	}
}

// peek sends PEEK, which is served now. The answer is acted upon later, except
// that a value is a hit.
func (m *model) peek(s State, i int, visit visit) {
	r := &s.Readers[i]
	step := Step{Who: i, Op: SendPeek, Outcome: Miss}
	if m.Peek(s.Key, r.Flight.Stamp) == Found {
		step.Outcome = Hit
		returns(r, s.Key.Value.Version, &step)
	} else {
		r.Phase, r.Flight.Token = Told, s.Key.Token
	}
	visit(s, step)
}

// join makes reader i share a flight of its process which has begun to read, if
// there is one that it may, and reports whether.
func (m *model) join(s State, i int, may func(Flight) bool, visit visit) bool {
	r := &s.Readers[i]
	for j := range m.others(i) {
		other := s.Readers[j]
		step := Step{Who: i, Op: Board, Outcome: Joins}
		switch {
		case !may(other.Flight):
			continue
		case other.Phase == Loading, m.NamesLate && other.Phase == Loaded, m.JoinsWhileJudged && other.Phase == Judged:
			r.wait(j)
			r.Fills = m.NamesLate // it is late
		case other.Phase == Loaded:
			step.Outcome = JoinsLate
			returns(r, other.Version, &step)
		default:
			continue
		}
		visit(s, step)
		return true
	}
	return false
}

// lead makes reader i begin a flight.
func lead(s State, i int, visit visit) {
	r := &s.Readers[i]
	r.Phase, r.Flight.Token = Asking, 0
	visit(s, Step{Who: i, Op: Board, Outcome: Leads})
}

// askLease sends LEASE, and does what the answer says: take the value, load, or
// load without the right to fill.
func (m *model) askLease(s State, i int, visit visit) {
	r := &s.Readers[i]
	key, reply := m.Lease(s.Key, r.Flight.Stamp, m.LeaseToken(m.Readers[i], s.freshToken()))
	s.Key = key
	step := Step{Who: i, Op: AskLease, Outcome: Bypasses}
	switch reply {
	case Found:
		step.Outcome, step.Version = Hit, key.Value.Version
		if m.Regions && !m.TrustsOldGenerations {
			r.Phase, r.Version = Checking, key.Value.Version
		} else {
			m.deliver(&s, i, key.Value.Version, &step)
		}
		visit(s, step)
		return
	case Granted:
		step.Outcome = Leads
	}
	r.Phase, r.Flight.Token, r.Fills = Loading, key.Token, reply == Granted
	if m.NamesLate {
		r.Flight.Stamp = m.generation(&s)
	}
	if !m.ReplicaLag {
		r.Floor = 0 // the source brings what is committed, which is at least that
	}
	visit(s, step)
}

// load reads the source and gives the value to everyone who waits, at once:
// that they may be told later changes nothing about what they are told. The
// flight goes on.
func (m *model) load(s State, i int, visit visit) {
	version := s.Source
	if m.ReplicaLag {
		version = s.Replica
	}
	step := Step{Who: i, Op: Load}
	if m.NamesLate {
		r := &s.Readers[i]
		r.Phase, r.Version, step.Version = Loaded, version, version
		visit(s, step)
		return
	}
	leader := s.Readers[i]
	m.deliver(&s, i, version, &step)
	r := &s.Readers[i]
	r.Phase, r.Flight, r.Version, r.Fills = Loaded, leader.Flight, version, leader.Fills
	visit(s, step)
}

// deliver ends the gets of reader i and of those who wait for its flight.
func (m *model) deliver(s *State, i int, version uint8, step *Step) {
	for j := range m.Readers {
		if r := &s.Readers[j]; j == i || r.Phase == Waiting && int(r.Leader) == i {
			returns(r, version, step)
		}
	}
}

// endFlight sends FILL or RELEASE, if the flight has a lease.
func (m *model) endFlight(s State, i int, visit visit) {
	r := s.Readers[i]
	s.Readers[i] = Reader{Left: r.Left}
	if !r.Fills {
		visit(s, Step{Who: i, Op: EndFlight})
		return
	}
	released := s
	released.Key = m.Release(s.Key, r.Flight.Token)
	visit(released, Step{Who: i, Op: SendRelease})

	v := Value{Version: r.Version, Stamp: m.FillStamp(r.Flight.Stamp, s.Generation)}
	filled := s
	filled.Key = m.Fill(s.Key, r.Flight.Token, v)
	step := Step{Who: i, Op: SendFill, Outcome: Refused}
	if filled.Key != s.Key {
		step.Outcome, step.Version = Stores, v.Version
	}
	visit(filled, step)
}

// wait makes the reader a waiter of reader j's flight.
func (r *Reader) wait(j int) {
	*r = Reader{Phase: Waiting, Left: r.Left, Floor: r.Floor, Leader: int8(j)}
}

// returns ends a get with what it got, and notes in step if that is stale.
func returns(r *Reader, version uint8, step *Step) {
	step.Version = version
	if version < r.Floor {
		step.Breaks, step.Floor = StaleRead, r.Floor
	}
	*r = Reader{Left: r.Left}
}
