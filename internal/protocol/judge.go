package protocol

// With Config.NamesLate a load tells at its end, and not before, that its value
// depends on the region. What is different then:
//
//   - LEASE brings the Moment before the load: here the generation, for with one
//     region to be of that Moment and to be unexpired since are the same.
//   - Nobody can compare generations when he joins: the lease alone must do.
//   - The flight ends in two steps. In the first it leaves the table of its
//     process and the generation is compared, by FILL or by a question; in the
//     second its waiters are told. If the region expired, those who joined after
//     the flight had begun to read start over.
//
// That leaving the table and comparing are one step here loses nothing: a caller
// that would join in between cannot.

// mayJoin is the joining rule for reader i, which was told what it knows.
func (m *model) mayJoin(told Flight) func(Flight) bool {
	if m.NamesLate {
		return func(f Flight) bool { return m.MayJoin(f, told.Token, f.Stamp) }
	}
	return func(f Flight) bool { return m.MayJoin(f, told.Token, told.Stamp) }
}

// judge finds out whether the region expired since the flight of reader i began:
// by FILL, or without one.
func (m *model) judge(s State, i int, visit visit) {
	current := m.generation(&s)
	r := &s.Readers[i]
	r.Phase = Judged
	since := r.Flight.Stamp
	fresh := m.Unexpired(since, current)
	if !fresh {
		r.Flight.Stamp = 0
	}
	step := Step{Who: i, Op: AskUnexpired}
	if !fresh {
		step.Outcome = Refused
	}
	visit(s, step)
	if !r.Fills {
		return
	}
	step = Step{Who: i, Op: SendFill, Outcome: Refused}
	if fresh {
		filled := m.Fill(s.Key, r.Flight.Token, Value{Version: r.Version, Stamp: m.FillStamp(since, current)})
		if filled != s.Key {
			s.Key, r.Fills = filled, false
			step.Outcome, step.Version = Stores, r.Version
		}
	}
	visit(s, step)
}

// conclude tells the waiters what became of the flight of reader i, and gives its
// lease back if there is one.
func (m *model) conclude(s State, i int, visit visit) {
	r := s.Readers[i]
	step := Step{Who: i, Op: EndFlight}
	if r.Fills {
		s.Key = m.Release(s.Key, r.Flight.Token)
		step.Op = SendRelease
	}
	if r.Flight.Stamp == 0 && !m.KeepsLateWaiters {
		for j := range m.Readers {
			if w := &s.Readers[j]; w.Phase == Waiting && int(w.Leader) == i && w.late() {
				*w = Reader{Phase: Seen, Left: w.Left, Floor: w.Floor}
				step.Outcome = StartsOver
			}
		}
	}
	m.deliver(&s, i, r.Version, &step)
	visit(s, step)
}

// late reports whether the reader waits for a flight that had begun to read when
// it joined. Who waits has no lease, so there is a field to keep that in.
func (r *Reader) late() bool { return r.Phase == Waiting && r.Fills }
