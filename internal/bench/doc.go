// Package bench is what larder's benchmarks share: samples and what to say of
// them, histograms of latencies, rounds in shuffled order, tables, and the Go
// benchmark format. It knows no cache.
//
// The benchmarks live beside it: l1 compares caches in memory, l2 clients and
// caches on a Redis server, faults what each does when things go wrong. The
// command larderbench runs them all and writes docs/benchmarks.md. It is a
// module of its own, so that nobody who imports larder gets its peers.
package bench
