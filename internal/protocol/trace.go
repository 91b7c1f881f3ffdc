package protocol

import "fmt"

// Line is one step of a trace.
type Line struct {
	Step
	After State // what the step led to
	text  string
}

// trace returns a way from the beginning to the state with index last, and on
// to the step that breaks a property. Codes do not tell which of two alike
// actors is meant, so the way is gone once more, in states that are not
// renamed, from code to code.
func (m *model) trace(t *table, last int32, breaks Property) []Line {
	var way []code // from last to the beginning
	for at := last; at >= 0; at = t.all[at].from {
		way = append(way, t.all[at].code)
	}
	s := m.startOf(way[len(way)-1])
	highest := ID(1) // that any state so far had
	if !m.IDsMatter {
		s.minted = highest
	}
	lines := []Line{{After: s, text: "in the beginning"}}
	for i := len(way) - 2; i >= -1; i-- {
		var line *Line
		m.next(s, func(after State, step Step) {
			fits := i < 0 && step.Breaks == breaks || i >= 0 && step.Breaks == Kept && m.encode(&after) == way[i]
			if line == nil && fits {
				line = &Line{Step: step, After: after}
			}
		})
		line.text = m.says(s, line)
		lines = append(lines, *line)
		s = line.After
		if s.minted > 0 {
			highest = max(highest, s.highestID())
			s.minted = highest
		}
	}
	return lines
}

func (s *State) highestID() (highest ID) {
	tokens, generations := s.tokens(), s.generations()
	for _, id := range append(tokens[:], generations[:]...) {
		highest = max(highest, *id)
	}
	return highest
}

func (m *model) startOf(c code) State {
	for _, s := range m.initial() {
		if m.encode(&s) == c {
			return s
		}
	}
	panic("protocol: a way that begins nowhere")
}

// String returns the step and what the key is after it.
func (l Line) String() string {
	s := fmt.Sprintf("%-58s %v", l.text, l.After.Key)
	if l.After.Generation != 0 {
		s += fmt.Sprintf(" | region %v", l.After.Generation)
	}
	switch l.Breaks {
	case StaleRead:
		s += fmt.Sprintf("   <- stale read: a write of v%d had returned before the get began", l.Floor)
	case StaleRest:
		s += fmt.Sprintf("   <- stale rest: the source has v%d, and nobody will tell the cache", l.After.Source)
	}
	return s
}

// String returns what the key holds.
func (k Key) String() string {
	switch k.Kind {
	case Filled:
		if k.Value.Stamp != 0 {
			return fmt.Sprintf("v%d of %v", k.Value.Version, k.Value.Stamp)
		}
		return fmt.Sprintf("v%d", k.Value.Version)
	case Leased:
		return fmt.Sprintf("lease %v", k.Token)
	case Marked:
		s := fmt.Sprintf("mark %v of", k.Token)
		for i := range maxWriters {
			if k.Writers>>i&1 != 0 {
				s += fmt.Sprintf(" W%d", i+1)
			}
		}
		return s
	}
	return "absent"
}

// String returns the id as "#1".
func (id ID) String() string { return fmt.Sprintf("#%d", uint8(id)) }

// says returns what a step from before did, in words.
func (m *model) says(before State, l *Line) string {
	switch l.Op {
	case Look, ReadGeneration, SendPeek, Board, AskLease, Load, SendFill, SendRelease, EndFlight, AskUnexpired:
		r := fmt.Sprintf("R%d", l.Who+1)
		if len(m.Readers) > 1 {
			r += fmt.Sprintf(" in P%d", m.Readers[l.Who]+1)
		}
		return r + " " + readerSays(before.Readers[l.Who], l)
	case LeaseRunsOut:
		return "the lease runs out"
	case MarkRunsOut:
		return fmt.Sprintf("W%d's token in the mark runs out", l.Who+1)
	case KeyLost:
		return "the key is evicted, or removed by somebody else"
	case GenerationLost:
		return "the region's generation is evicted"
	case ReplicaFollows:
		return fmt.Sprintf("the replica gets v%d", l.Version)
	}
	return fmt.Sprintf("W%d %s", l.Who+1, writerSays(l))
}

func readerSays(before Reader, l *Line) string {
	after := l.After.Readers[l.Who]
	switch l.Op {
	case Look, ReadGeneration:
		return lookSays(before, after, l)
	case SendPeek:
		if l.Outcome == Hit {
			return fmt.Sprintf("PEEK: hit, gets v%d", l.Version)
		}
		if after.Flight.Token != l.After.Key.Token {
			return fmt.Sprintf("has an answer from before it came, %v", after.Flight.Token)
		}
		return fmt.Sprintf("PEEK: %v", l.After.Key)
	case Board:
		return boardSays(after, l)
	case AskLease:
		switch l.Outcome {
		case Hit:
			if after.Phase == Checking {
				return fmt.Sprintf("LEASE: there is v%d, if %v is current", l.Version, after.Flight.Stamp)
			}
			return fmt.Sprintf("LEASE: there is a value, gets v%d", l.Version)
		case Leads:
			return fmt.Sprintf("LEASE: granted, %v", after.Flight.Token)
		}
		return fmt.Sprintf("LEASE: no, there is %v; loads without", l.After.Key)
	case Load:
		return fmt.Sprintf("reads v%d from the source", l.Version)
	case AskUnexpired:
		if l.Outcome == Refused {
			return "names the region, which expired"
		}
		return "names the region, which did not expire"
	case EndFlight, SendRelease:
		said := "ends its load"
		if l.Op == SendRelease {
			said = fmt.Sprintf("RELEASE of %v", before.Flight.Token)
		}
		if before.Phase == Judged {
			said += fmt.Sprintf(", all who wait get v%d", before.Version)
		}
		if l.Outcome == StartsOver {
			said += " or start over"
		}
		return said
	}
	said := fmt.Sprintf("FILL of v%d under %v", before.Version, before.Flight.Token)
	if l.Outcome == Refused {
		return said + ": refused"
	}
	return said + ": stored"
}

func lookSays(before, after Reader, l *Line) string {
	switch {
	case l.Op == Look && l.Outcome == Miss:
		return "looks: miss"
	case l.Op == Look && after.Phase == Seen:
		return fmt.Sprintf("looks: v%d, if %v is current", l.Version, after.Flight.Stamp)
	case l.Op == Look:
		return fmt.Sprintf("looks: hit, gets v%d", l.Version)
	case l.Outcome == Hit:
		return fmt.Sprintf("reads the generation: hit, gets v%d", l.Version)
	case before.Version == 0:
		return "reads the generation"
	}
	return "reads the generation: another one, miss"
}

func boardSays(after Reader, l *Line) string {
	switch l.Outcome {
	case JoinsEarly, Joins:
		return fmt.Sprintf("joins R%d's load", after.Leader+1)
	case JoinsLate:
		return fmt.Sprintf("joins a load that has read, gets v%d", l.Version)
	}
	return "begins a load"
}

func writerSays(l *Line) string {
	switch l.Op {
	case SendBegin:
		return "BEGIN_WRITE"
	case Commit:
		return fmt.Sprintf("commits v%d", l.Version)
	case Rollback:
		return "rolls back"
	case SendInvalidate:
		return "INVALIDATE, and returns"
	case SendExpire:
		return "expires the region, and returns"
	case Crash:
		return "crashes"
	case BeginAgain:
		return "has returned, and its BEGIN_WRITE arrives once more"
	}
	s := "END_WRITE"
	if l.Outcome == Stores {
		s += fmt.Sprintf(" with v%d: stored", l.Version)
	}
	if l.Op == EndAgain {
		return "has returned, and its " + s + " arrives once more"
	}
	return s + ", and returns"
}
