// Package l2 compares larder's Redis cache with Redis clients, and a cache
// built on one, on a real redis-server: reads that hit and writes, by how many
// goroutines there are.
//
// Each peer has its library's defaults. Entries expire after an hour, keys have
// 16 bytes, and a read that finds nothing, or a value of another length, counts
// as failed. The server, its clients and the goroutines share the machine.
package l2
