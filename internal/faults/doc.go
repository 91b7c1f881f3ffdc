// Package faults disturbs near caches and their Redis, and sees whether they keep
// their promises. It has tests only.
//
// # What is tested
//
// Four processes, which are the test binary itself, have a near cache each in one
// of its modes, on one Redis of their own, each through a proxy of its own. They
// share a source: a version per key, in memory that all of them map. A writer
// raises a key's version, removes the key, and when that has returned without an
// error notes the time. A reader that began later and gets an older version is
// stale by the difference. A removal that failed and was retried counts from when
// none waits any more.
//
// Then things go wrong, one after the other: latency, one process in a black hole,
// two whose calls arrive and whose answers do not, connections reset, connections
// cut within a reply, Redis killed and started again empty, Redis stopped
// (SIGSTOP), and a process stopped. It must hold:
//
//   - no read is stale by more than the bound in mode Bounded, and none at all in
//     modes Validate and Ack;
//   - no read fails, unless its context ends;
//   - no call outlives its context by more than 50 ms;
//   - two seconds after a fault's end all is well in every process: it knows of
//     every change, no removal waits, and keys are removed from, stored on and read
//     from the server. In mode Ack a removal then may have to wait for one more
//     bound, as when a lease has to end;
//   - in the end no process has a goroutine or a socket left, nor the server a
//     connection.
//
// A histogram of all reads' staleness, per fault, is logged. A near cache as it is
// often written, which hears of removals through pub/sub, must fail.
//
// A Redis Cluster of three primaries and three replicas loses a primary (SIGKILL)
// while it is written to, and for a moment its replica had not been connected.
// Every write is of a key of its own. Of what was acknowledged only that may be
// lost which that replica cannot have got: it began before the primary was killed,
// and ended after the last moment at which the replica had all (WAIT). That is
// counted, and must be some of both, sets and removals. Near caches must agree with
// the server afterwards.
//
// # How to run it
//
//	go test -v ./internal/faults                        each fault in one or two modes, about half a minute
//	LARDER_FAULTS=full go test -v ./internal/faults     each fault in each mode, Redis stopped for longer, about a minute
//	LARDER_FAULTS=60s go test -v ./internal/faults      the same again and again, for 60 seconds in each mode
//
// It needs Linux, for memory that processes share, and redis-server on PATH;
// elsewhere, and with -short, it is skipped.
//
// # What is measured
//
// Staleness is no matter of scheduling: times are taken before the call that reads
// and after the one that removes, on one monotonic clock, so no margin is added to
// the bound.
//
// For how long calls outlive their contexts is. So each call that is late has a
// witness: a function that is told of the same context's end and does nothing else.
// By how much it is late itself is subtracted, and for how long from then on the
// process was stopped, or its threads waited for a processor (schedstat; of each no
// more than four average waits). That may be too much where several wait at once, but
// on an idle machine it is nothing.
//
// Recovery is, too: a call has 100 ms for all its round trips, and on a machine so
// busy that a bare one takes 25 ms, through the test's process and past all faults,
// no cache works. Each process makes such round trips all the time. A slow one is a
// fault like the others: the two seconds begin at its end. The log tells for how long
// recoveries took in all, and for how long they were held up by that.
//
// # What is not
//
//   - A removal that returned an error promises nothing before its retry has landed,
//     and in mode Ack not then either.
//   - The proxy closes connections when a black hole ends; in a real one they would
//     wait until packets are sent again. Redis stopped is the case where they stay.
//   - Loads take no time, so few callers join one that began before a removal.
package faults
