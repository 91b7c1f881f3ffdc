// Package engine is a bounded table of entries under text keys: what an
// in-process cache needs below its API. Reads take no lock; the limits hold at
// every instant; entries that expire are reclaimed without a goroutine of the
// engine's own.
//
// It knows no cache: no context, no errors of callers, no leases, no
// statistics of removals. Its owner checks keys and weighs values, and runs
// callbacks of its users when no lock is held. docs/engine.md tells how it
// works, and why each step that takes no lock is right.
package engine
