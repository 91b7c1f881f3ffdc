package protocol

// writes visits what writer i can do next. To write the source and to commit is
// one step: before the commit nobody sees the write, and two transactions on
// one row take turns.
//
// A writer that was committed and got no answer, or whose commit arrives after
// it crashed, is one that crashes after the commit: the transaction's deadline
// ends both before the mark may run out.
func (m *model) writes(s State, i int, visit visit) {
	marked := m.Writers[i] == Marks
	switch w := s.Writers[i]; w.Phase {
	case NotBegun:
		switch {
		case marked:
			m.begin(s, i, SendBegin, visit)
		case m.InvalidatesFirst && m.Writers[i] == Invalidates:
			s.Key = m.Invalidate(s.Key, s.freshToken())
			s.Writers[i].Phase = Begun
			visit(s, Step{Who: i, Op: SendInvalidate})
		default:
			m.commit(s, i, visit)
		}
	case Begun:
		m.commit(s, i, visit)
		if marked {
			rolled := s
			rolled.Writers[i] = Writer{Phase: Settled}
			visit(rolled, Step{Who: i, Op: Rollback})
		}
	case Settled:
		m.tellCache(s, i, visit)
	case Returned:
		if m.Late && marked {
			m.begin(s, i, BeginAgain, visit)
			m.end(s, i, EndAgain, w, visit)
		}
	}
	if w := s.Writers[i]; w.alive() && (marked && m.Crashes || !marked && m.UnmarkedCrashes) {
		s.Writers[i] = Writer{Phase: Crashed}
		visit(s, Step{Who: i, Op: Crash})
	}
}

// begin reads the region's generation and sends BEGIN_WRITE. If it arrives once
// more after the writer has returned, nobody hears the answer.
func (m *model) begin(s State, i int, op Op, visit visit) {
	w := &s.Writers[i]
	stamp := m.generation(&s)
	var epoch ID
	s.Key, epoch = m.BeginWrite(s.Key, 1<<i, s.freshToken())
	if op == SendBegin {
		w.Phase, w.Epoch, w.Stamp = Begun, epoch, stamp
	}
	visit(s, Step{Who: i, Op: op})
}

func (m *model) commit(s State, i int, visit visit) {
	w := &s.Writers[i]
	s.Source++
	if !m.ReplicaLag {
		s.Replica = s.Source
	}
	w.Phase, w.Version = Settled, s.Source
	if m.InvalidatesFirst && m.Writers[i] == Invalidates {
		s.returned(i, m.Late)
	}
	visit(s, Step{Who: i, Op: Commit, Version: s.Source})
}

// tellCache ends a write.
func (m *model) tellCache(s State, i int, visit visit) {
	w := s.Writers[i]
	switch m.Writers[i] {
	case Marks:
		m.end(s, i, SendEnd, w, visit)
		return
	case Invalidates:
		s.Key = m.Invalidate(s.Key, s.freshToken())
		s.returned(i, m.Late)
		visit(s, Step{Who: i, Op: SendInvalidate})
	case ExpireRegion:
		s.Generation = m.NextGeneration(s.Generation, s.freshGeneration())
		s.returned(i, m.Late)
		visit(s, Step{Who: i, Op: SendExpire})
	}
}

// end sends END_WRITE, with the value and without: not every writer has one.
func (m *model) end(s State, i int, op Op, w Writer, visit visit) {
	values := []Value{{}}
	if w.Version != 0 {
		values = append(values, Value{Version: w.Version, Stamp: m.EndStamp(w.Stamp, s.Generation)})
	}
	for _, v := range values {
		t := s
		t.Key = m.EndWrite(s.Key, 1<<i, w.Epoch, v, s.freshToken())
		t.returned(i, m.Late)
		step := Step{Who: i, Op: op}
		switch {
		case t.Key.Kind == Absent:
			step.Outcome = Deletes
		case t.Key.Kind == Filled && v.Version != 0:
			step.Outcome, step.Version = Stores, v.Version
		default:
			step.Outcome = Leaves
		}
		if v.Version == 0 || step.Outcome == Stores {
			visit(t, step)
		}
	}
}

// returned notes that writer i has returned: from now on gets must see its
// write. Only what arrives late still needs what the writer knew.
func (s *State) returned(i int, late bool) {
	w := &s.Writers[i]
	s.Acked = max(s.Acked, w.Version)
	w.Phase = Returned
	if !late {
		*w = Writer{Phase: Returned}
	}
}
