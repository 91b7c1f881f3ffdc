// Package crash kills processes that write through the wrappers of package
// patterns. It has tests only.
//
// # What is tested
//
// Whenever a process that writes is killed, nothing stale stays in the cache, and
// nothing of a transaction that was rolled back ever gets there.
//
// A child process, which is the test binary itself, opens the same database and
// Redis as its parent and writes one product: a transaction that is rolled back, a
// save that puts the product into another category, and a deletion. On its way are
// steps: before and after each statement, the commit and the rollback, and before
// and after what is sent to Redis, and after its answers. One child after the other
// is killed by its own SIGKILL, each at another step, until all have had their turn
// and one has reached the end. Each has a product of its own, so that the parent can
// look at all of them once more after the write marks of the dead have run out.
//
// The parent reads while the child writes, and after its death compares what a
// wrapper and a query of its own return with what is in the database: a
// difference is stale, or a phantom if it is what was rolled back.
//
// That is done for cache-aside and all policies of write-through, on SQLite and
// PostgreSQL, with Redis
//
//   - up;
//   - down, and empty when it is back;
//   - frozen (SIGSTOP), or killed with all it had in a file, so that it comes back with
//     entries that nobody could mark.
//
// In the last case a policy that writes without the cache promises nothing by itself:
// what it leaves stale must be seen. With patterns.Intents, replayed when Redis is
// back, and with writes that are refused without a cache, nothing may be stale. Two
// naive wrappers, without write marks, must be caught, too.
//
// LARDER_CRASH_FULL=1 asks for all combinations: 28 on each database.
package crash
