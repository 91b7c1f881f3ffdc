// Package writebehind compares what it costs to accept a write for later: by
// larder's queue on Redis, by asynq, a job queue, and by a SET that queues nothing,
// all on one server and by as many goroutines. asynq has its defaults and a retention
// of nothing; each write has a key of its own.
package writebehind
