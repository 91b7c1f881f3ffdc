package protocol

// Protocol is the rules that the actors follow, as data: [Larder] has the real
// ones, and a mutant is a copy with one of them replaced.
type Protocol struct {
	// What Redis does, each in one atomic step.
	Peek       func(k Key, current ID) Reply
	Lease      func(k Key, current, fresh ID) (Key, Reply)
	Fill       func(k Key, token ID, v Value) Key
	Release    func(k Key, token ID) Key
	Invalidate func(k Key, fresh ID) Key
	BeginWrite func(k Key, w Writers, fresh ID) (Key, ID)
	EndWrite   func(k Key, w Writers, epoch ID, v Value, fresh ID) Key

	// What processes do.
	MayJoin        func(f Flight, token, current ID) bool
	NextGeneration func(last, fresh ID) ID
	Unexpired      func(since, current ID) bool  // NamesLate: whether a region is what it was at a load's Moment
	FillStamp      func(captured, current ID) ID // of what a load stores
	EndStamp       func(captured, current ID) ID // of what END_WRITE stores

	// LeaseToken returns the token that a process asks for a lease with: one
	// per load, which no other load has.
	LeaseToken func(process int, fresh ID) ID

	// MarkMayExpire reports whether a writer's token in a mark may run out. The
	// transaction's deadline lies before the mark's and is checked just before
	// the commit, so it may not while the writer may still commit.
	MarkMayExpire func(mayCommit bool) bool

	// Flaws of mutants that are a matter of order.
	TrustsOldGenerations bool // a flight that finds a value uses the generation that it read before
	JoinsUnasked         bool // a caller that missed joins whatever flight there is, without a PEEK
	SharesOldAnswers     bool // a caller that missed uses an answer to a PEEK that was served before it arrived
	JoinsWhileJudged     bool // NamesLate: a flight may be joined until its waiters are told
	KeepsLateWaiters     bool // NamesLate: who joined late gets what there is
	InvalidatesFirst     bool // a writer without a mark sends INVALIDATE before its commit, not after it

	// IDsMatter says that ids are more than compared, as those of a counter
	// are. Then states that differ in ids only are not taken for one.
	IDsMatter bool
}

// Larder returns larder's protocol.
func Larder() Protocol {
	return Protocol{
		Peek:           Peek,
		Lease:          Lease,
		Fill:           Fill,
		Release:        Release,
		Invalidate:     Invalidate,
		BeginWrite:     BeginWrite,
		EndWrite:       EndWrite,
		MayJoin:        MayJoin,
		NextGeneration: NextGeneration,
		Unexpired:      Unexpired,
		FillStamp:      Captured,
		EndStamp:       Captured,
		LeaseToken:     func(_ int, fresh ID) ID { return fresh },
		MarkMayExpire:  func(mayCommit bool) bool { return !mayCommit },
	}
}

// Mode is how a writer tells the cache about its write.
type Mode uint8

const (
	Marks        Mode = iota // BEGIN_WRITE, commit, END_WRITE with or without the value
	Invalidates              // commit, INVALIDATE
	ExpireRegion             // commit, then a new generation for the region
)

// Config is who takes part and what may go wrong: the bounds of a check.
type Config struct {
	Readers []int // one reader each: the process it runs in, 0 to 2. At most 3 readers
	Gets    int   // how often each reader gets the key, at most 3
	Writers []Mode

	Regions   bool // the value depends on a region
	NamesLate bool // of which a load knows only at its end

	Only Property // the one to look for; Kept for any

	// What the environment does, at any time and any number of times, besides
	// letting leases, values and marks expire. Crashed readers need no step:
	// every state is checked, so also those in which a reader never goes on.
	Crashes         bool // writers with a mark crash between BEGIN_WRITE and END_WRITE
	UnmarkedCrashes bool // writers without a mark crash between commit and what follows
	LosesMarks      bool // marks are evicted, or removed by somebody else
	LosesGeneration bool // the region's generation likewise
	Late            bool // what writers with a mark sent arrives once more, after they returned
	ReplicaLag      bool // loads read a replica, which follows some time later
}
