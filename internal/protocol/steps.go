package protocol

// Op is what a step does.
type Op uint8

const (
	Look Op = iota
	ReadGeneration
	SendPeek
	Board // a flight: lead or join one
	AskLease
	Load
	SendFill
	SendRelease
	EndFlight // that fills nothing
	SendBegin
	Commit
	Rollback
	SendEnd
	SendInvalidate
	SendExpire // of the region
	Crash
	LeaseRunsOut
	MarkRunsOut // one writer's token in it
	KeyLost     // expired, evicted, or removed by somebody else
	GenerationLost
	ReplicaFollows
	BeginAgain
	EndAgain
	AskUnexpired // NamesLate: whether the region expired since the load began
	ops          // their number
)

// String returns the op in words.
func (o Op) String() string {
	return [...]string{"look", "read the generation", "PEEK", "board a flight", "LEASE", "load", "FILL", "RELEASE",
		"end a flight", "BEGIN_WRITE", "commit", "roll back", "END_WRITE", "INVALIDATE", "expire the region", "crash",
		"the lease runs out", "the mark runs out", "the key is lost", "the generation is lost", "the replica follows",
		"BEGIN_WRITE again", "END_WRITE again", "ask about the region"}[o]
}

// Outcome is how a step turned out, where it may turn out in several ways.
type Outcome uint8

const (
	Done       Outcome = iota
	Hit                // there is a value
	Miss               // the get goes on
	Leads              // the get leads a flight; LEASE: it may fill the key
	Bypasses           // it may not
	JoinsEarly         // the get waits for a flight that has not begun to read
	Joins              // the get waits for a flight that may have read
	JoinsLate          // the get takes what a flight has brought and not yet stored
	Stores             // the key holds the value now
	Refused            // it does not, because the lease is gone or the region expired
	Deletes            // the key is absent now
	Leaves             // a mark stays
	StartsOver         // somebody who joined late may not have what the flight brought
	outcomes           // their number
)

// String returns the outcome in words.
func (o Outcome) String() string {
	return [...]string{"done", "hit", "miss", "leads", "bypasses", "joins early", "joins", "joins late",
		"stores", "refused", "deletes", "leaves", "starts over"}[o]
}

// Property is what a protocol has to keep.
type Property uint8

const (
	// Kept: none is broken.
	Kept Property = iota
	// StaleRead is a get that began after a write had returned and got what was
	// there before it.
	StaleRead
	// StaleRest is a value that readers see though the source has a newer one,
	// and no writer is left that will repair it.
	StaleRest
)

// String returns "kept", "stale read" or "stale rest".
func (p Property) String() string { return [...]string{"kept", "stale read", "stale rest"}[p] }

// Step is one atomic step of one actor.
type Step struct {
	Who     int // the index of the reader or writer; 0 if the environment does it
	Op      Op
	Outcome Outcome
	Version uint8 // that a get returned, or that was loaded, committed or stored
	Floor   uint8 // StaleRead: what the get should have had at least
	Breaks  Property
}

// visit is told of a step that is possible and the state it leads to.
type visit func(s State, step Step)

// model is a protocol among the actors of a config.
type model struct {
	Protocol
	Config
	symmetries []symmetry
}

// initial returns the states a check begins with: the key is absent, holds the
// current value, or is leased to a load of a process that has crashed.
func (m *model) initial() []State {
	s := State{Source: 1, Replica: 1}
	if m.Regions {
		s.Generation = 1
	}
	for i := range m.Readers {
		s.Readers[i].Left = uint8(m.Gets)
	}
	filled, leased := s, s
	filled.Key = Key{Kind: Filled, Value: Value{Version: 1, Stamp: s.Generation}}
	leased.Key = Key{Kind: Leased, Token: 1}
	return []State{s, filled, leased}
}

// next visits what s can become in one step.
func (m *model) next(s State, visit visit) {
	checked := func(t State, step Step) {
		if m.Only == StaleRest || step.Breaks == Kept {
			step.Breaks = Kept
			if m.Only != StaleRead && m.restsStale(&t) {
				step.Breaks = StaleRest
			}
		}
		visit(t, step)
	}
	for i := range m.Readers {
		m.reads(s, i, checked)
	}
	for i := range m.Writers {
		m.writes(s, i, checked)
	}
	m.happens(s, checked)
}

// restsStale reports whether the key holds an old value which readers see, and
// which may stay: no writer is about to end. Who has not begun may never begin.
// Readers do not matter, for none of them changes a key that holds a value.
func (m *model) restsStale(s *State) bool {
	for _, w := range s.Writers {
		if w.alive() {
			return false
		}
	}
	return s.Key.Kind == Filled && s.Key.Value.Stamp == s.Generation && s.Key.Value.Version < s.Source
}

// happens visits what the environment does to s.
func (m *model) happens(s State, visit visit) {
	switch k := s.Key; {
	case k.Kind == Leased:
		t := s
		t.Key = Key{}
		visit(t, Step{Op: LeaseRunsOut})
	case k.Kind == Filled, k.Kind == Marked && m.LosesMarks:
		t := s
		t.Key = Key{}
		visit(t, Step{Op: KeyLost})
	}
	if s.Key.Kind == Marked {
		for i := range m.Writers {
			w := Writers(1) << i
			if s.Key.Writers&w != 0 && m.MarkMayExpire(s.Writers[i].Phase == Begun) {
				t := s
				t.Key = s.Key.Expire(w)
				visit(t, Step{Op: MarkRunsOut, Who: i})
			}
		}
	}
	if m.LosesGeneration && s.Generation != 0 {
		t := s
		t.Generation = 0
		visit(t, Step{Op: GenerationLost})
	}
	if m.ReplicaLag && s.Replica < s.Source {
		t := s
		t.Replica++
		visit(t, Step{Op: ReplicaFollows, Version: t.Replica})
	}
}

// generation returns the region's generation, which it makes up if it is lost:
// SET NX GET with a fresh one.
func (m *model) generation(s *State) ID {
	if m.Regions && s.Generation == 0 {
		s.Generation = m.NextGeneration(0, s.freshGeneration())
	}
	return s.Generation
}
