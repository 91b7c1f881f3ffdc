// Package racematrix plays the races that a cache with loaders can lose, one by
// one and for real, against larder and its peers, and renders who won them.
//
// A [Race] is a small schedule: gates in the loader say what happens before
// what. Where a peer gives no sign that a caller waits, the schedule gives it a
// bounded time to do so. Whatever may end or block a process runs in a child
// process.
//
// It says nothing about speed; for that see the other packages of this module.
package racematrix
