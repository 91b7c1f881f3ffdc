// Package cachetest tests caches, and code that uses them.
//
// For whoever writes a backend or a decorator:
//
//   - [Run] is the contract of package cache as a suite of named cases, each of
//     which says which rule it checks. Cases for a capability run if the cache
//     has it, and are reported as skipped if not.
//   - [Check] drives a cache and the [Model], the contract in its plainest form,
//     through the same random calls and compares every answer.
//   - [Watched] and [Prefixed] put a decorator of either kind around a cache.
//
// For whoever uses caches: [Faults] makes a cache fail on purpose, and [Gate]
// holds calls until the test lets them go.
//
// The package is for tests only; it links package testing and
// pgregory.net/rapid.
package cachetest
