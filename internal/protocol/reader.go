package protocol

// reads visits what reader i can do next.
//
// A get reads the key, and with regions the generation; on a miss it asks for
// the lease; when it has the answer it leads a flight (load, fill) or waits for
// one. Between any two of these steps anything may happen. Some things need no
// step of their own, for whatever they can lead to is checked anyway:
//
//   - A get that begins some time before it reads the key: its floor is lower.
//   - A get that waits while somebody else has the lease, and asks again: a
//     LEASE that is served later. It may also load at once, and does.
//   - A caller that shares the LEASE of another, sent after it arrived: a LEASE
//     of its own, served right after.
//   - A reader that crashes, or whose caller leaves: it takes no further step.
func (m *model) reads(s State, i int, visit visit) {
	switch s.Readers[i].Phase {
	case Idle:
		if s.Readers[i].Left > 0 {
			m.look(s, i, visit)
		}
	case Seen:
		m.readGeneration(s, i, visit)
	case Missed:
		m.askLease(s, i, visit)
	case Told:
		m.act(s, i, visit)
	case Loading:
		m.load(s, i, visit)
	case Loaded:
		if !s.Readers[i].Fills {
			s.Readers[i] = Reader{Left: s.Readers[i].Left}
			visit(s, Step{Who: i, Op: EndFlight})
			return
		}
		m.fill(s, i, visit)
		m.release(s, i, visit)
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
		if m.SharesOldAnswers {
			m.shareOldAnswer(&s, i)
		}
		if m.JoinsUnasked && m.join(s, i, Look, func(Flight) bool { return true }, visit) {
			return
		}
	}
	visit(s, step)
}

// shareOldAnswer is a flaw: it gives reader i the answer that another reader of
// its process has had.
func (m *model) shareOldAnswer(s *State, i int) {
	for j, other := range s.Readers[:len(m.Readers)] {
		if j != i && m.Readers[j] == m.Readers[i] && other.Phase == Told {
			s.Readers[i].Phase, s.Readers[i].Flight = Told, other.Flight
		}
	}
}

// readGeneration is a hit if the value that was seen has the stamp that is
// current. If not, what was read is the stamp of the load that follows.
func (m *model) readGeneration(s State, i int, visit visit) {
	r := &s.Readers[i]
	current := m.generation(&s)
	step := Step{Who: i, Op: ReadGeneration, Outcome: Miss}
	if r.Version != 0 && r.Flight.Stamp == current {
		step.Outcome = Hit
		returns(r, r.Version, &step)
	} else {
		r.Phase, r.Version, r.Flight.Stamp = Missed, 0, current
	}
	visit(s, step)
}

// askLease sends LEASE, which is served now. The answer is acted upon later,
// except that a value is a hit.
func (m *model) askLease(s State, i int, visit visit) {
	r := &s.Readers[i]
	key, reply := m.Lease(s.Key, r.Flight.Stamp, m.LeaseToken(m.Readers[i], s.freshToken()))
	s.Key = key
	step := Step{Who: i, Op: AskLease, Outcome: Bypasses}
	switch reply {
	case Found:
		step.Outcome = Hit
		returns(r, key.Value.Version, &step)
		visit(s, step)
		return
	case Granted:
		step.Outcome = Leads
	}
	r.Phase, r.Flight.Token, r.Fills = Told, key.Token, reply == Granted
	visit(s, step)
}

// act does what the answer to LEASE says: lead the load, join the flight that
// it identifies, or load without the right to fill.
func (m *model) act(s State, i int, visit visit) {
	r := &s.Readers[i]
	mine := r.Flight
	may := func(f Flight) bool { return m.MayJoin(f, mine.Token, mine.Stamp) }
	if !r.Fills && m.join(s, i, Act, may, visit) {
		return
	}
	r.Phase = Loading
	if !m.ReplicaLag {
		r.Floor = 0 // the source brings what is committed, which is at least that
	}
	step := Step{Who: i, Op: Act, Outcome: Leads}
	if !r.Fills {
		step.Outcome = Bypasses
	}
	visit(s, step)
}

// join makes reader i share a flight of its process, if there is one that it
// may, and reports whether.
func (m *model) join(s State, i int, op Op, may func(Flight) bool, visit visit) bool {
	r := &s.Readers[i]
	for j, other := range s.Readers[:len(m.Readers)] {
		if j == i || m.Readers[j] != m.Readers[i] || !may(other.Flight) {
			continue
		}
		switch other.Phase {
		case Loading:
			r.Phase, r.Flight = Waiting, other.Flight
			visit(s, Step{Who: i, Op: op, Outcome: Joins})
			return true
		case Loaded:
			step := Step{Who: i, Op: op, Outcome: JoinsLate}
			returns(r, other.Version, &step)
			visit(s, step)
			return true
		}
	}
	return false
}

// load reads the source and gives the value to everyone who waits, at once:
// that they may be told later changes nothing about what they are told.
func (m *model) load(s State, i int, visit visit) {
	version := s.Source
	if m.ReplicaLag {
		version = s.Replica
	}
	step := Step{Who: i, Op: Load, Version: version}
	leader := s.Readers[i]
	for j := range m.Readers {
		r := &s.Readers[j]
		waits := r.Phase == Waiting && r.Flight == leader.Flight && m.Readers[j] == m.Readers[i]
		if j == i || waits {
			returns(r, version, &step)
		}
	}
	r := &s.Readers[i]
	r.Phase, r.Flight, r.Version, r.Fills = Loaded, leader.Flight, version, leader.Fills
	visit(s, step)
}

// fill sends FILL.
func (m *model) fill(s State, i int, visit visit) {
	r := &s.Readers[i]
	v := Value{Version: r.Version, Stamp: m.FillStamp(r.Flight.Stamp, s.Generation)}
	before := s.Key
	s.Key = m.Fill(s.Key, r.Flight.Token, v)
	*r = Reader{Left: r.Left}
	step := Step{Who: i, Op: SendFill, Outcome: Refused}
	if s.Key != before {
		step.Outcome, step.Version = Stores, v.Version
	}
	visit(s, step)
}

// release sends RELEASE instead of FILL.
func (m *model) release(s State, i int, visit visit) {
	r := &s.Readers[i]
	s.Key = m.Release(s.Key, r.Flight.Token)
	*r = Reader{Left: r.Left}
	visit(s, Step{Who: i, Op: SendRelease})
}

// returns ends a get with what it got, and notes in step if that is stale.
func returns(r *Reader, version uint8, step *Step) {
	step.Version = version
	if version < r.Floor {
		step.Breaks, step.Floor = StaleRead, r.Floor
	}
	*r = Reader{Left: r.Left}
}
