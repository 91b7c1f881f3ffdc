package transport

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/larder-go/larder/internal/breaker"
	"github.com/redis/go-redis/v9"
)

const (
	// baseLanes is how many round trips a node has under way at once when they
	// are fast: one that the server works on, one whose replies are handed out, and
	// one that fills. More would only make batches smaller.
	baseLanes = 3

	// maxDirect is how many callers make their own round trips, as long as nobody
	// has to wait. Sharing pays for more.
	maxDirect = 8

	// maxLanes is how many it has when they are slow.
	maxLanes = 8

	// holdShare is the inverse of the share that the calls that wait must have of those
	// under way, or they are held.
	holdShare = 3

	// slow is how long a call waits for a lane before there is one more. That
	// lane lasts as long as its round trips take this long.
	slow = time.Millisecond

	// maxBatch and maxBytes bound what shares a round trip, so that a huge
	// value goes alone.
	maxBatch = 512
	maxBytes = 256 << 10

	// sweeps is how often, in a budget, a node looks for calls whose time is up,
	// and slowCall the longest that it waits for calls that take long: until then
	// their callers do not see that their context has ended.
	sweeps   = 10
	slowCall = 10 * time.Millisecond

	// maxBackground is how many fire-and-forget commands may wait.
	maxBackground = 1024

	// probeTimeout is how long a probe may take. It is longer than any budget:
	// nobody waits for it, and it may have to connect.
	probeTimeout = time.Second
)

// pipeliner is what a node needs of a client.
type pipeliner interface {
	Process(ctx context.Context, cmd redis.Cmder) error
	Pipeline() redis.Pipeliner
	Ping(ctx context.Context) *redis.StatusCmd
}

// node is one server with the calls that wait for it.
//
// Calls wait in one queue. A lane is a goroutine with at most one round trip
// under way: it takes everything that waits, sends it in one pipeline, hands
// the replies out, and looks again. So calls share round trips exactly when
// the server is the bottleneck, and no call waits for others to join it.
//
// A call that is queued after another returned is never answered by a round
// trip that began before: a lane takes calls first and sends them then. That
// makes a Get see every write that returned before it.
//
// A few calls do not go by themselves while many are under way: they would cost
// as much as many, and the next of those to land takes them along. See holdLocked.
type node struct {
	client pipeliner
	budget time.Duration
	guard  *breaker.Breaker
	onGone func()       // the client was closed
	mget   bool         // whether one command may name many keys
	line   func() *line // makes one for a direct call; nil if there is no such way
	lanes  sync.WaitGroup

	mu         sync.Mutex
	queue      []*call
	since      time.Time // when the queue's first call came, if no lane was free
	background []redis.Cmder
	idle       []*lane
	running    []*lane
	underWay   int  // calls that lanes have sent
	overdue    bool // whether the queue has waited too long to be held
	watched    bool // whether the watch will look at the queue again
	watch      *time.Timer
	direct     [maxDirect]*lane // nil until it is needed
	cautious   time.Time        // until when these are only for callers that cannot leave
	swept      bool             // whether the sweep will look at the calls again
	sweep      *time.Timer
	closed     bool
}

var errNodeGone = errors.New("node is gone")

// newNode returns the node that client leads to. create makes clients like it,
// nil meaning redis.NewClient.
func newNode(client pipeliner, create func(*redis.Options) *redis.Client, opts *Options) *node {
	n := &node{client: client, budget: opts.Budget}
	if c, ok := client.(*redis.Client); ok {
		n.line = func() *line { return newLine(c, create) }
	}
	n.guard = breaker.New(opts.Breaker, n.probe, opts.OnBreaker)
	n.watch = time.AfterFunc(time.Hour, n.look)
	n.watch.Stop()
	n.sweep = time.AfterFunc(time.Hour, n.expire)
	n.sweep.Stop()
	return n
}

func (n *node) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return n.client.Ping(ctx).Err()
}

// submit hands c to the node's lanes, unless the node is closed. If c had better go
// alone, and may, it makes the round trip itself: over says that c is in a last
// state.
func (n *node) submit(ctx context.Context, c *call, mayGoAlone bool) (over, ok bool) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return false, false
	}
	if mayGoAlone {
		if l := n.aloneLocked(ctx, c); l != nil {
			n.mu.Unlock()
			l.flyAlone(ctx)
			return true, true
		}
	}
	n.queue = append(n.queue, c)
	n.wakeLocked()
	return false, true
}

func (n *node) sweepLocked() {
	if !n.swept {
		n.swept = true
		n.sweep.Reset(min(n.budget/sweeps, slowCall))
	}
}

// enqueueBackground queues cmd for the next round trip, if there is room.
func (n *node) enqueueBackground(cmd redis.Cmder) bool {
	n.mu.Lock()
	if n.closed || len(n.background) >= maxBackground {
		n.mu.Unlock()
		return false
	}
	n.background = append(n.background, cmd)
	n.wakeLocked()
	return true
}

// wakeLocked finds a lane for what was queued, and unlocks.
func (n *node) wakeLocked() {
	n.sweepLocked()
	hold := n.holdLocked()
	switch {
	case !hold && len(n.idle) > 0:
		l := n.idleLocked()
		n.mu.Unlock()
		l.wake <- struct{}{}
		return
	case !hold && len(n.running) < baseLanes:
		n.startLocked(false)
	case !n.watched:
		n.watched, n.since = true, time.Now()
		n.watch.Reset(slow)
	}
	n.mu.Unlock()
}

// holdLocked reports whether what is queued shall wait for a round trip that is
// under way: that takes it along when it is over.
func (n *node) holdLocked() bool {
	return len(n.queue)*holdShare < n.underWay && !n.overdue
}

// idleLocked takes a lane that has nothing to do, which is to be woken.
func (n *node) idleLocked() *lane {
	l := n.idle[len(n.idle)-1]
	n.idle = n.idle[:len(n.idle)-1]
	return l
}

func (n *node) startLocked(extra bool) {
	l := newLane(n, extra)
	n.running = append(n.running, l)
	n.lanes.Go(l.run)
}

// look wakes or starts a lane if calls have waited too long for one.
func (n *node) look() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watched = false
	if n.closed || len(n.queue) == 0 && len(n.background) == 0 {
		return
	}
	wait := slow - time.Since(n.since)
	if wait <= 0 {
		n.overdue, wait = true, slow
		switch {
		case len(n.idle) > 0:
			n.idleLocked().wake <- struct{}{} // does not block: it has room for one
		case len(n.running) < maxLanes:
			n.startLocked(len(n.running) >= baseLanes)
			n.since = time.Now()
		}
	}
	n.watched = true
	n.watch.Reset(wait)
}

// take waits until there is something to send. It returns false when the lane
// shall end.
func (n *node) take(l *lane) bool {
	n.mu.Lock()
	for len(n.queue) == 0 && len(n.background) == 0 || n.holdLocked() {
		if n.closed {
			n.endLocked(l)
			n.mu.Unlock()
			return false
		}
		n.idle = append(n.idle, l)
		n.mu.Unlock()
		<-l.wake
		runtime.Gosched() // those who are ready now queue their call, too
		n.mu.Lock()
	}
	k := batchOf(n.queue)
	if k == len(n.queue) {
		n.queue, l.batch = l.batch[:0], n.queue
	} else {
		l.batch = append(l.batch[:0], n.queue[:k]...)
		rest := copy(n.queue, n.queue[k:])
		clear(n.queue[rest:])
		n.queue = n.queue[:rest]
	}
	if n.watched {
		n.since = time.Now()
	}
	l.extras, n.background = n.background, l.extras[:0]
	l.departLocked(time.Now())
	n.underWay += len(l.batch)
	n.overdue = false
	n.mu.Unlock()
	return true
}

// batchOf returns how many of the calls go together.
func batchOf(queue []*call) int {
	cmds, size := 0, 0
	for i, c := range queue {
		cmds += max(1, len(c.cmds))
		size += c.size
		if i > 0 && (cmds > maxBatch || size > maxBytes) {
			return i
		}
	}
	return len(queue)
}

// retire reports whether an extra lane shall end after a round trip of d.
func (n *node) retire(l *lane, d time.Duration) bool {
	if d >= slow {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || len(n.queue) > 0 {
		return false // drain first
	}
	n.endLocked(l)
	return true
}

func (n *node) endLocked(l *lane) {
	n.running = slices.DeleteFunc(n.running, func(r *lane) bool { return r == l })
}

// landed notes that l's round trip is over, before its calls may be reused. The
// gets that its MGET found nothing for go back to the queue.
func (n *node) landed(l *lane) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l.trip = nil
	if l.line == nil {
		n.underWay -= len(l.batch)
	}
	if len(l.mget.calls) == 0 {
		return
	}
	l.batch = slices.DeleteFunc(l.batch, func(c *call) bool {
		if !c.shared || c.reply.err != redis.Nil { //nolint:errorlint // ours, unwrapped
			return false
		}
		if c.again() {
			n.queue = append(n.queue, c)
		}
		return true
	})
}

// expire ends the calls and round trips whose time is up. Lanes mostly notice
// by themselves, for their connections have a deadline; this is for calls that
// no lane has taken, and for whatever else keeps a lane busy. The other callers
// are told that it takes long.
func (n *node) expire() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for _, c := range n.queue {
		if now.Sub(c.start) >= n.budget {
			c.expire()
		} else {
			c.nudgeLocked()
		}
	}
	busy := len(n.queue) > 0
	for _, l := range n.running {
		busy = l.expireLocked(now) || busy
	}
	for _, l := range n.direct {
		busy = l != nil && l.expireLocked(now) || busy
	}
	if n.swept = busy; busy {
		n.sweep.Reset(min(n.budget/sweeps, slowCall))
	}
}

// close lets the lanes finish what is queued and end. wait waits for them.
func (n *node) close() {
	n.mu.Lock()
	n.closed = true
	idle := n.idle
	n.idle = nil
	n.watch.Stop()
	n.mu.Unlock()
	for _, l := range idle {
		l.wake <- struct{}{}
	}
}

// wait waits until the lanes have ended, and closes what the node owns.
func (n *node) wait(ctx context.Context) error {
	n.mu.Lock()
	for _, l := range n.direct {
		if l != nil {
			defer l.line.client.Close()
		}
	}
	n.mu.Unlock()
	done := make(chan struct{})
	go func() {
		n.lanes.Wait()
		close(done)
	}()
	select {
	case <-done:
		return n.guard.Close(ctx)
	case <-ctx.Done():
		return errors.Join(ctx.Err(), n.guard.Close(ctx))
	}
}
