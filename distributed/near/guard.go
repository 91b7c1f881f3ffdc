package near

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/larder-go/larder/cache"
	"github.com/larder-go/larder/distributed"
)

// guard keeps what was read before a change from being held after it.
//
// The interleaving it defends against: a Fetch reads the server; the key changes,
// and the news of it arrive and find nothing to drop; the value that was read is
// put, and nobody ever tells that it is out of date. So a key belongs to a shard
// with a number that grows with each change, before what is held is dropped; a
// Fetch notes it before it asks the server, and a put holds the shard's lock while
// it compares the numbers and stores. Keys that share a shard refuse each other's
// puts now and then, which costs a round trip and nothing else.
type guard struct {
	seed   maphash.Seed
	shards [1024]shard
}

type shard struct {
	mu  sync.Mutex
	seq uint64

	_ [48]byte // keeps neighbours off this cache line
}

func (g *guard) init() { g.seed = maphash.MakeSeed() }

func (g *guard) shard(key string) *shard {
	return &g.shards[maphash.String(g.seed, key)%uint64(len(g.shards))]
}

// now returns the shard's number before a Fetch.
func (s *shard) now() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq
}

// void refuses what was fetched until now.
func (s *shard) void() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
}

// putIf calls put unless something changed since the shard was at seq. It reports
// whether it did.
func (s *shard) putIf(seq uint64, put func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seq != seq {
		return false
	}
	put()
	return true
}

// drop forgets what is held for key, and what is being fetched.
func (c *Cache) drop(key string) {
	c.guard.shard(key).void()
	_ = c.local.Remove(context.Background(), key) // fails only if there is nothing to serve
}

// expire forgets what is held or being fetched under tokens.
func (c *Cache) expire(tokens ...cache.Token) {
	_ = c.local.ExpireTokens(context.Background(), tokens...) // as Remove
}

// flush forgets everything.
func (c *Cache) flush() {
	for i := range c.guard.shards {
		c.guard.shards[i].void()
	}
	_ = c.local.Clear(context.Background()) // as Remove
	c.counts.flushes.Add(1)
}

// changed hears that a key of Redis has changed, which is valid during the call.
func (c *Cache) changed(name string) {
	switch what, key, token := c.tier.Changed(name); what {
	case distributed.ChangedKey:
		c.counts.changes.Add(1)
		c.drop(key)
	case distributed.ChangedToken:
		c.counts.changes.Add(1)
		c.expire(token)
	}
}
