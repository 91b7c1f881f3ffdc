// Package herd measures what happens when many callers in several processes ask
// for one cold key at once: how often it is loaded, how long after the load the
// last caller has the value, and how many commands that costs the server.
//
// The processes are real ones: the program starts itself again, with Child as
// its main function. Each has a cache of its own on one Redis. It is measured
// with hints to followers and without, when they poll.
package herd
