// Package redistest brings up Redis for larder's own tests: real servers and
// clusters from the redis-server on PATH, which can be frozen, killed and
// restarted, and miniredis over an in-memory pipe, which follows the virtual
// time of a testing/synctest bubble.
//
// Everything here belongs to one test and ends with it. A test that needs a
// real server is skipped where there is none.
package redistest
