// Package queue is a durable write-behind queue on Redis: it keeps the contract of
// larder's package queue, which says what a queue does.
//
//	q, err := queue.New(client, &queue.Options{Prefix: "products"})
//	products, err := patterns.NewWriteBehind(ctx, c, inner, q, entity, nil)
//	defer q.Close(ctx) // after the repository
//
// # What survives
//
// An acknowledged write survives whatever Redis survives with everything it
// acknowledged. That is the crash of every process with appendonly yes; that of the
// machine, too, with appendfsync always, and but for the last second with
// everysec. A replica that takes over may lack the last writes, because Redis
// replicates after it has answered. Preflight refuses a server that evicts, or that
// does not append to a file.
//
// # In Redis
//
// A queue has partitions, by a hash of the key. Each is in one slot of a Cluster:
// {prefix:q:0} and so on are the hash tags, and what follows the tag is described
// in scripts/slot.lua. What changes a partition is one script, so payload,
// sequence and the key's being dirty are stored together or not at all. No key of a
// queue ever expires. Time is the server's.
//
// What somebody else has written into a queue's keys becomes a dead letter
// if it can be, is removed if it is about nothing, and is counted: see
// Queue.Damaged.
package queue
