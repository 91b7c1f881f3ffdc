// Package l1 compares larder's memory cache with other caches in process
// memory: what a hit costs through each of their ways to read, what it costs to
// replace an entry, and what both allocate.
//
// Every cache has room for all keys, expires entries by the same TTL from their
// last write, and is filled before anything is measured; a benchmark in which a
// hit missed or a loader ran is an error. Peers are used as their documentation
// says: loaders are bound once where a library allows it, and capture the key
// where it does not. Each loop is written out in its peer's file, so that no
// common interface stands between the clock and the cache.
package l1
