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
// writer. A third of the keys is written under marks only, seldom and slowly, and
// their entries live for an hour, so that nothing but the mark can repair what a
// killed writer leaves behind. A reader notes the floor before it reads, through
// Loading, Typed and GetOrCreateMany in turn; what it gets must have the key it
// asked for and at least that version. Loads take their time, before and after
// they look at the source, and half of them pay no heed to their context; some
// callers leave early, some writes have next to no time, and other entries live
// for parts of a second. Meanwhile one worker after the other is killed (SIGKILL)
// wherever it happens to be, and replaced.
//
// A run counts only if it saw what it is about: fills and joins that were
// refused, writes of unknown outcome, writes that overlapped, reads that only a
// mark that ran out keeps from being stale, and kills. It fails if a worker writes
// anything at all, a report of the race detector included, ends by itself, or
// leaves a goroutine behind.
//
// The same harness must catch three subjects that are almost right, the twins:
// one that fills as cache-aside is usually written, one that lets callers join
// whatever load is under way in their process, and one without write marks.
//
// # How to run it
//
//	go test -v ./internal/stress                       20 seconds, at least 100,000 reads
//	go test -v -short ./internal/stress                3 seconds, at least 10,000 reads
//	LARDER_STRESS=30s go test -v ./internal/stress     so long, at least 200,000 reads
//
// A run ends when its time is over and it has read enough; a slow machine takes
// longer. LARDER_STRESS_SEED=n repeats the random choices of a run, though not
// the order in which processes get to run. It needs Linux, for memory that
// processes share, and redis-server on PATH; elsewhere it is skipped.
//
// # What is not
//
//   - A Remove that returned an error promises nothing, so it raises no floor.
//   - Nor does a writer without a mark that is killed between the source and
//     Remove: nobody is left who knows of the write, and the old entry stays
//     until its TTL or the next Remove.
//   - While Redis does not answer in time, callers of a process share loads
//     without asking it. So here a call may take a minute, and no breaker opens.
//   - Set without a mark and regions are not used, and Redis itself neither fails over nor
//     forgets.
package stress
