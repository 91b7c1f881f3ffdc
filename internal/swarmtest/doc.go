// Package swarmtest has larder's own tests run several processes at once, which are
// the test binary itself and share memory. It needs Linux; elsewhere it is empty.
//
// A test package calls Main in its TestMain: in a worker process that is all its
// life. The test makes a Swarm, starts workers, signals or kills them, and reads
// what they note on the board, which is one variable that all of them map. All of
// a board must be atomic, for a process may be stopped or killed at any point.
//
// A worker works until it is told to end, or its test is no more. It has failed
// if it says so, or leaves a goroutine or a socket behind.
package swarmtest
