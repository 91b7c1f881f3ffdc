// Package protocol is the specification of what larder does with one Redis key,
// and a model checker that goes through every way in which it can turn out. It
// is for this module's tests; no other package imports it.
//
// # The protocol
//
// A Redis key is absent, or holds a value, the lease of one load, or a write
// mark (see [Kind]). Each transition is one atomic command or script, and one
// pure function here, whose comment is its specification: [Peek], [Lease],
// [Fill], [Release], [Invalidate], [BeginWrite], [EndWrite]. Processes add the
// joining rule, [MayJoin], and the generations of regions, [NextGeneration],
// [Captured] and [Unexpired]. [Larder] is all of them together.
//
// In short. A reader that misses takes a lease, loads, and fills the key only
// if exactly its lease is still there. A writer replaces what is there by its
// mark before it may commit, and takes the mark away afterwards; no load that
// begins under a mark fills anything. A caller joins another's load only if that
// has not begun to read, or if the key says, after the caller arrived, that
// nothing came between.
//
// A load may say at its end that its value depends on a region ([Config].NamesLate,
// as package cache does). Then those who joined it after it had begun to read get
// what it brought only if the region did not expire meanwhile.
//
// In package cache, PEEK is Peeker.Peek, LEASE and RELEASE are of Leaser, FILL is
// a Set whose EntryOptions name the lease, INVALIDATE is Remove, BEGIN_WRITE and
// END_WRITE are of WriteMarker, and the latter with a value is a Set whose
// EntryOptions name the mark. Package conformance compares the backends with the
// functions here. Leases are
// those of Nishtala et al., Scaling Memcache at Facebook (NSDI 2013).
//
// # What is checked
//
// In no state that can be reached is there one of two faults:
//
//   - [StaleRead]: a get that began after a write returned (its END_WRITE,
//     INVALIDATE, or new generation) gets an older version than that write's.
//   - [StaleRest]: readers see a value older than the source's, and no writer is
//     about to end. Nothing but its time to live may ever take it away.
//
// The actors are readers, which get the key several times, in one process or in
// several, and writers, each with its own way of telling the cache ([Mode]). A
// database holds versions 1, 2, ... Between any two steps any other actor may
// take one, and at any time, any number of times: a lease runs out; a value
// expires, is evicted or is removed by somebody else; a writer's token in a mark
// runs out, if its transaction is over. By configuration ([Config]): writers
// with a mark crash at any point; the mark, or the region's generation, is lost;
// commands of such writers arrive once more, late; loads read a replica.
//
// # Bounds
//
// By default two readers with two gets each and two writers, in 22
// configurations: every pair of modes, readers in one process and in two, each
// with the faults that go with it; and three readers, two of them in one process,
// with one get each. That is 2.9 million states, or 6 seconds. With -short each
// reader gets once. With LARDER_PROTOCOL_FULL set each of two readers gets three
// times and each of three twice, and there are three writers: 27 million states,
// two minutes and 2 GB. Losses, expirations and generations are not bounded: an id
// that nobody remembers is used again, so there are finitely many states.
//
// States that differ only in what ids, alike readers and alike writers are
// called are taken for one. What needs no step of its own is said at the steps
// of a reader and of a writer.
//
// # Mutants
//
// A checker that finds nothing may be blind. So for each rule there is a mutant
// without it, which must be caught, by the property that the rule is there for;
// and every kind of step must occur. The traces are shortest ones: see the
// example, or run
//
//	go test -run TestMutantsAreCaught -v ./internal/protocol
//
// # What is not promised
//
// In these configurations larder's protocol does break, and the checker must
// find how (TestWhatIsNotPromised):
//
//   - Loads that read a replica which lags behind: nothing about the key tells
//     that the row is old.
//   - A writer without a mark, or one that expires a region, that crashes
//     between commit and invalidation: nobody is left who knows.
//   - A writer that crashes after its mark was evicted or removed. Either alone
//     does no harm.
//
// # What is not modelled
//
// A Redis that forgets (failover, a restart without persistence) forgets marks
// and invalidations alike: the last item above, and worse. While a Redis cannot
// be reached, callers share loads without asking. A Set without a lease, by
// somebody who is no writer of the source, removes what is there. One key is
// modelled, not several at once. Within a process, a write also voids the flights
// of its key at once; that is left out, because the promise holds without it. So
// are backends without leases, whose guarded fills are tested in package cache.
// Time is modelled by order alone: that a transaction's deadline lies before its
// mark's is assumed, and its violation is a mutant. That every wait ends is not
// checked.
package protocol
