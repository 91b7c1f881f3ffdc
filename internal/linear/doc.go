// Package linear checks that each key of a backend behaves as if its calls were
// made one at a time, in an order that agrees with when they were made: it is
// linearizable. It is for this module's tests; there is nothing in it for others.
//
// Several clients call one cache at random: Get, Set, Remove, and everything with
// versions and locks. The calls, their answers and times make a history, and a
// checker (package porcupine) looks for an order of the calls that the sequential
// model, in model_test.go, allows.
//
// Over a network that loses replies a call may end in cache.ErrOutcomeUnknown.
// The model then allows both, that it happened, at any time later, and that it
// did not. For cache.ErrUnavailable it allows only that it did not: an honest
// outcome is part of what is checked.
//
// Caches with a planted fault must be found out, or the check is blind.
package linear
