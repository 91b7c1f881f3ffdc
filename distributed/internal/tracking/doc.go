// Package tracking tells a process which keys of a Redis change, whoever changes
// them and however: a write, a removal, expiry, eviction, a flush. It switches
// server-assisted tracking on (CLIENT TRACKING ON BCAST PREFIX) over a connection
// of its own to every primary, and says at each moment up to when its knowledge
// is complete, so that a near cache can stop trusting itself in time.
//
// The connections are dialled with the client's own options but not used through
// go-redis: its push handlers log and pass over what they cannot read, and its
// PubSub reconnects by itself, so a change could be lost without a sign. Here the
// least doubt ends the connection, and everything is forgotten.
package tracking
