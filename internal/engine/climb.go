package engine

import "math/bits"

// climber moves the share of the window up and down: in some hours recent
// entries deserve more room, in others frequent ones.
//
// It learns from keys that come back after they had to make room. If n entries
// have left the same queue since then, n places more would have kept this one, so
// each of them was worth the n-th part of a hit there: the share goes up by that
// if the key had left the window, and down if it had left the main part. How the
// hit ratio changes says less: it does so by itself all the time, and by more.
type climber struct {
	share  float64
	left   [queues]uint32 // how many have left each queue to make room
	ghosts [mostGhosts]ghost
}

// ghost is a key whose entry left to make room.
type ghost struct {
	hash uint32
	at   uint32 // how many had left the queue by then
	from queue  // queueNone: no ghost
}

const (
	firstShare = 0.01
	leastShare = 0.005
	mostShare  = 0.8

	// windowStep is what a hit is worth to the window. It decides how fast the share
	// moves and how far it strays: half of it brings a few hits more where requests
	// stay as they are, and as many fewer where they change.
	windowStep = 1.0 / 64

	// mainStep is what a hit is worth to the main part. It is more, as places there
	// would also have kept some of those that lost a duel and left the window.
	mainStep = 2 * windowStep

	// mostGhosts bounds the memory. Of larger caches it is a sample of the keys
	// that is remembered.
	mostGhosts = 256

	// ghostSpan: as many as half of all entries may have left since. A key that comes
	// back later says nothing: a loop that is somewhat larger than the cache would
	// have the window grow, which is of no use until the window holds all of it.
	ghostSpan = 2
)

// sampling returns that one key in so many is remembered, a power of two.
func sampling(resident int) uint32 { return 1 << bits.Len(uint(resident/(mostGhosts+1))) }

func (c *climber) ghost(hash uint32) *ghost { return &c.ghosts[hash%mostGhosts] }

// leaves tells that the entry of a key has left a queue to make room.
func (c *climber) leaves(hash uint32, from queue, resident int) {
	c.left[from]++
	if hash/mostGhosts&(sampling(resident)-1) == 0 {
		*c.ghost(hash) = ghost{hash, c.left[from], from}
	}
}

// enters moves the share if the key of a new entry had to make room lately.
func (c *climber) enters(hash uint32, resident int) {
	g := c.ghost(hash)
	if g.hash != hash || g.from == queueNone {
		return
	}
	since, step := c.left[g.from]-g.at, windowStep
	if g.from == queueMain {
		step = -mainStep
	}
	g.from = queueNone
	if since <= uint32(resident/ghostSpan) {
		// One in so many is remembered, and stands for all of them.
		places := max(1, float64(since)/float64(sampling(resident)))
		c.share = min(max(c.share+step/places, leastShare), mostShare)
	}
}
