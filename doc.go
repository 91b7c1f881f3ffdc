// Package larder opens a cache by its URL, so that a service's configuration
// says where its cache lives and its code does not change:
//
//	memory://                                     in this process
//	redis://user:password@host:6379/0             one Redis server
//	rediss://...                                  the same over TLS
//	unix:///run/redis.sock                        one Redis server on this machine
//	redis+cluster://host1:6379,host2:6379         a Redis Cluster, rediss+cluster for TLS
//	redis+sentinel://host1,host2/master/0         a primary that Sentinel names, rediss+sentinel for TLS
//
// What can be done with a cache is in package cache; values of Go types and
// GetOrCreateExclusive are there, too. The backends are packages memory and
// distributed, whose constructors take options that a URL cannot hold, such as
// a Redis client that is shared with other code. Package keys builds keys.
package larder
