// Package stress tries to catch larder at a stale read, with several processes,
// a real Redis and processes that are killed. It has tests only.
//
// # What is tested
//
// A read that starts after an invalidation returned never sees what was
// invalidated, in any process.
//
// A run has four worker processes, which are the test binary itself, on one
// Redis of their own. They share a source: a version per key, which a write
// raises by one, in a file that all of them have in memory. A writer raises the
// version, calls Remove, and when that has returned without an error raises the
// key's floor to its version. Others mark the key before (BeginWrite), and end
// the write by EndWrite or by a Set with the mark. Such a write also falls due:
// when the mark has run out its version is the floor, whatever has become of the
// writer. A fifth of the keys is written under marks only, seldom and slowly, and
// their entries live for an hour, so that nothing but the mark can repair what a
// killed writer leaves behind.
//
// A third of the keys is in regions. Their entries carry a token of a key
// in one region, one of a second region, and of some keys one from their
// TypedOptions; loaders name none of them, one or both before they look at the
// source, and the rest afterwards. Their writers raise the version of one row or
// of a few and expire a token, or several; now and then a region of many, or
// everything. When that has returned without an error, the floor of every key
// whose entries carry what was expired is the version that it had before.
//
// A reader notes the floor before it reads, through Loading, Typed and
// GetOrCreateMany in turn; what it gets must have the key it asked for and at
// least that version. Loads take their time, before and after they look at the
// source, and half of them pay no heed to their context; some callers leave
// early, most wait for a key no longer than 30 milliseconds, some writes have
// next to no time, half of the entries in regions live for an hour and others for
// parts of a second. Meanwhile one worker after the other is killed (SIGKILL)
// wherever it happens to be, and replaced.
//
// A run counts only if it saw what it is about: fills and joins that were
// refused, writes of unknown outcome, writes that overlapped, reads that only a
// mark that ran out keeps from being stale, a fair share of every kind of write,
// and kills. It fails if a worker writes anything at all, a report of the race
// detector included, ends by itself, or leaves a goroutine or a socket behind.
//
// The same harness must catch five subjects that are almost right, the twins:
// one that fills as cache-aside is usually written, two that let callers join
// whatever load is under way in their process, although its key was written or
// its region expired, one without write marks, and one that stores entries under
// the generations that their regions have by then.
//
// # How to run it
//
//	go test -v ./internal/stress                       20 seconds, at least 200,000 reads
//	go test -v -short ./internal/stress                5 seconds, at least 30,000 reads
//	LARDER_STRESS=30s go test -v ./internal/stress     40 seconds, at least 500,000 reads
//
// A run ends when its time is over and it has read enough; a slow machine takes
// longer. LARDER_STRESS_SEED=n repeats the random choices of a run, though not
// the order in which processes get to run. It needs Linux, for memory that
// processes share, and redis-server on PATH; elsewhere it is skipped.
//
// # What is not
//
//   - A Remove or an expiration that returned an error promises nothing, so it
//     raises no floor.
//   - Nor does a writer without a mark that is killed between the source and
//     Remove, or the expiration: nobody is left who knows of the write, and the
//     old entry stays until its TTL or the next of these.
//   - While Redis does not answer in time, callers of a process share loads
//     without asking it. So here a call may take a minute, and no breaker opens.
//   - Set is used with a mark only, and not in regions: whoever stores what he
//     wrote himself must see to it that no other write comes between.
//   - Redis itself neither fails over nor forgets.
package stress
